/* Which sanitizer the build has: gcc and clang say it in different ways. */
#ifndef RT_SANITIZER_H
#define RT_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONTEXT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define CONTEXT_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define CONTEXT_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define CONTEXT_TSAN 1
#endif

#endif
