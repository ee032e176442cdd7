/* How fast request heads are parsed, with every framing check and the ids of
 * known fields: 64 different browser requests of about 700 bytes in rotation, so
 * that no branch predictor learns one of them by heart. The best of several runs:
 * noise only ever adds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/h1_head.h"
#include "http/scan_vector.h"

#define REQUESTS 64
#define ROUNDS 4000
#define RUNS 7

static const char *const agents[] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
};

static const char *const paths[] = {
    "/",
    "/index.html",
    "/api/v2/users/%d/orders?limit=20&offset=%d",
    "/static/app.%08x.js",
    "/images/2024/06/banner-%d.webp",
    "/search?q=fly%%20fishing&page=%d&lang=en",
    "/favicon.ico",
    "/blog/how-to-tie-a-%d-knot/#",
    "/cart/items/%d",
    "/css/site.min.css?v=%x",
};

static const char *const accepts[] = {
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "*/*",
    "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "application/json, text/plain, */*",
};

static const char *const modes[] = { "navigate", "no-cors", "cors", "same-origin" };
static const char *const dests[] = { "document", "script", "image", "empty" };

/* What most browsers send in most requests; the rest varies with i. */
static size_t make_request(char *text, size_t size, unsigned i)
{
    char path[128];
    size_t n;

    snprintf(path, sizeof path, paths[i % 10], i * 7919, i);
    path[strcspn(path, "#")] = 0;
    n = (size_t)snprintf(text, size,
                         "%s %s HTTP/1.1\r\nHost: %s%u.example.com\r\nConnection: keep-alive\r\n",
                         i % 13 == 5 ? "POST" : "GET", path, i % 3 ? "www" : "shop-", i % 5);
    if (i % 4 == 0)
        n += (size_t)snprintf(text + n, size - n,
                              "sec-ch-ua: \"Chromium\";v=\"126\", \"Not-A.Brand\";v=\"%u\"\r\n"
                              "sec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: \"Windows\"\r\n"
                              "Upgrade-Insecure-Requests: 1\r\n",
                              i % 90);
    n += (size_t)snprintf(text + n, size - n, "User-Agent: %s\r\nAccept: %s\r\n", agents[i % 4],
                          accepts[i / 4 % 4]);
    if (i % 13 == 5)
        n += (size_t)snprintf(text + n, size - n,
                              "Content-Type: application/json\r\n"
                              "Content-Length: %u\r\nOrigin: https://www.example.com\r\n",
                              i * 3);
    n += (size_t)snprintf(text + n, size - n,
                          "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: %s\r\n"
                          "Sec-Fetch-Dest: %s\r\nReferer: https://www%u.example.com/p/%u?x=%x\r\n"
                          "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                          "Accept-Language: en-US,en;q=0.9,de;q=0.%u\r\n",
                          modes[i % 4], dests[i / 2 % 4], i % 5, i * 31, i * 2654435761u, i % 9);
    if (i % 3 == 1)
        n += (size_t)snprintf(text + n, size - n,
                              "If-None-Match: W/\"%x-%x\"\r\n"
                              "If-Modified-Since: Tue, 18 Jun 2024 08:%02u:37 GMT\r\n",
                              i * 40503u, i * 2654435761u, i % 60);
    if (i % 7 == 2)
        n += (size_t)snprintf(text + n, size - n,
                              "X-Requested-With: XMLHttpRequest\r\n"
                              "X-CSRF-Token: %08x%08x\r\n",
                              i * 2654435761u, i * 40503u);
    n += (size_t)snprintf(text + n, size - n, "Cookie: sid=%08x%08x; theme=%s; _ga=GA1.2.%u.%u",
                          i * 2246822519u, i * 3266489917u, i & 1 ? "dark" : "light",
                          i * 668265263u, i * 374761393u);
    while (n + 8 < 690 + i % 24)
        n += (size_t)snprintf(text + n, size - n, "; p%zu=%x", n % 10, (unsigned)n * 2654435761u);
    return n + (size_t)snprintf(text + n, size - n, "\r\n\r\n");
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Bytes a nanosecond, which are gigabytes a second. */
static double run(char text[REQUESTS][1024], const size_t *len, struct http_head *head,
                  enum scan_form form)
{
    struct h1_parser parser;
    struct h1_fault fault;
    int64_t start = now_ns();
    size_t bytes = 0;

    h1_parser_init(&parser, NULL);
    parser.scan = (uint8_t)form;
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < REQUESTS; i++) {
            int n = h1_parse_request(&parser, weir_str_from(text[i], len[i]), head, &fault);

            if (n != (int)len[i] || !head->keep_alive || !http_has(head, HTTP_COOKIE)) {
                fprintf(stderr, "request %zu: %d, %s\n%s", i, n, n < 0 ? fault.rule : "", text[i]);
                exit(1);
            }
            bytes += (size_t)n;
        }
    return (double)bytes / (double)(now_ns() - start);
}

/* The form that a parser is given first, then the others that this processor has. */
int main(void)
{
    static const char *const suffix[SCAN_FORMS] = { "_words", "_sse2", "_avx2" };
    static char text[REQUESTS][1024];
    static struct http_head head;
    size_t len[REQUESTS];
    double best[SCAN_FORMS] = { 0 };

    for (unsigned i = 0; i < REQUESTS; i++)
        len[i] = make_request(text[i], sizeof text[i], i);
    for (int i = 0; i < RUNS; i++)
        for (int form = 0; form < SCAN_FORMS; form++) {
            double rate = scan_has(form) ? run(text, len, &head, form) : 0;

            best[form] = rate > best[form] ? rate : best[form];
        }
    printf("{\"name\":\"h1_head_parse\",\"value\":%.3f,\"unit\":\"GB/s\"}\n", best[scan_best()]);
    for (int form = 0; form < SCAN_FORMS; form++)
        if (best[form] > 0 && form != (int)scan_best())
            printf("{\"name\":\"h1_head_parse%s\",\"value\":%.3f,\"unit\":\"GB/s\"}\n",
                   suffix[form], best[form]);
    return 0;
}
