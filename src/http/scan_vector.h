/* scan_name() and scan_value() of scan.h with the processor's vectors: 16 bytes at
 * a time with SSE2, which every x86-64 has, 32 with AVX2, which is asked for when a
 * parser is made. What is left at the end goes word by word, so that no byte behind
 * the end is read. Other processors go word by word all the way. */
#ifndef HTTP_SCAN_VECTOR_H
#define HTTP_SCAN_VECTOR_H

#include "http/scan.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* A form is only given to a processor that has it. */
enum scan_form { SCAN_WORDS, SCAN_SSE2, SCAN_AVX2, SCAN_FORMS };

static inline bool scan_has(enum scan_form form)
{
#ifdef __x86_64__
    return form != SCAN_AVX2 || __builtin_cpu_supports("avx2");
#else
    return form == SCAN_WORDS;
#endif
}

static inline enum scan_form scan_best(void)
{
    return scan_has(SCAN_AVX2) ? SCAN_AVX2 : scan_has(SCAN_SSE2) ? SCAN_SSE2 : SCAN_WORDS;
}

#ifdef __x86_64__
#define SCAN_AVX2_CODE __attribute__((target("avx2,bmi")))

static inline const char *scan_name_sse2(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x20)), v);
        __m128i colon = _mm_cmpeq_epi8(v, _mm_set1_epi8(':'));
        unsigned stop = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, colon));

        if (stop)
            return p + __builtin_ctz(stop);
    }
    return scan_name(p, end);
}

static inline const char *scan_value_sse2(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
        __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
        unsigned stop = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));

        if (stop)
            return p + __builtin_ctz(stop);
    }
    return scan_value(p, end);
}

/* Names are short: more than 16 bytes at a time gain nothing. */
SCAN_AVX2_CODE static inline const char *scan_name_avx2(const char *p, const char *end)
{
    return scan_name_sse2(p, end);
}

SCAN_AVX2_CODE static inline const char *scan_value_avx2(const char *p, const char *end)
{
    for (; end - p >= 32; p += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
        __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
        __m256i tab = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t'));
        __m256i del = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));
        unsigned stop = (unsigned)_mm256_movemask_epi8(
            _mm256_or_si256(_mm256_andnot_si256(tab, low), del));

        if (stop)
            return p + __builtin_ctz(stop);
    }
    return scan_value_sse2(p, end);
}
#endif

#endif
