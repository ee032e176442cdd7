/* The terminal; see top.h.
 *
 * A few control sequences that every terminal of today understands (ECMA-48, and xterm's
 * second screen) are all that a table takes, so no library for terminals is needed.
 *
 * Keys are read raw: Ctrl-C is a key, so it ends the command as q does. Signals that end it
 * from outside (SIGTERM, SIGHUP, SIGINT) wake the wait, and what was set is set back on the
 * way out. They are blocked but while it waits: none is missed. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <weir/error.h>

#include "top/top.h"

#define ESCAPE_MS 50 /* a sequence's bytes follow each other closer than that */

static struct {
    struct termios old;
    sigset_t old_mask;
    volatile sig_atomic_t ended, resized;
    char keys[64];
    size_t key_count;
} screen;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        screen.resized = 1;
    else
        screen.ended = 1;
}

static void write_out(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(STDOUT_FILENO, text, len);

        if (wrote < 0 && errno == EAGAIN)
            poll(&(struct pollfd){ .fd = STDOUT_FILENO, .events = POLLOUT }, 1, 1000);
        else if (wrote < 0 && errno != EINTR)
            return; /* the terminal is gone: the read of it tells */
        if (wrote > 0) {
            text += wrote;
            len -= (size_t)wrote;
        }
    }
}

static void write_text(const char *text)
{
    write_out(text, strlen(text));
}

static void catch_signals(void)
{
    static const int numbers[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGWINCH };
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t blocked;

    sigemptyset(&blocked);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(&blocked, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    sigprocmask(SIG_BLOCK, &blocked, &screen.old_mask);
}

int top_screen_open(void)
{
    struct termios raw;

    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &screen.old) < 0)
        return weir_fail(-ENOTTY, "there is no terminal: --once prints one frame as text");
    catch_signals();
    raw = screen.old;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
        return weir_fail(-errno, "setting the terminal");
    write_text("\x1b[?1049h\x1b[?25l\x1b[2J"); /* the second screen, no cursor, cleared */
    return 0;
}

void top_screen_close(void)
{
    write_text("\x1b[0m\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &screen.old);
    sigprocmask(SIG_SETMASK, &screen.old_mask, NULL);
}

void top_screen_size(unsigned *ret_width, unsigned *ret_height)
{
    struct winsize size = { .ws_row = 0 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    *ret_width = size.ws_col;
    *ret_height = size.ws_row;
}

void top_screen_show(const struct strbuf *text)
{
    if (!text->bad)
        write_out(text->ptr, text->len);
}

/* False: the terminal is gone. */
static bool read_keys(void)
{
    ssize_t got = read(STDIN_FILENO, screen.keys + screen.key_count,
                       sizeof(screen.keys) - screen.key_count);

    if (got > 0)
        screen.key_count += (size_t)got;
    return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN));
}

bool top_screen_wait(int fd, int timeout_ms, bool *ret_ready, bool *ret_resized)
{
    struct pollfd pfds[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
                              { .fd = fd, .events = POLLIN } };
    struct timespec timeout = { .tv_sec = timeout_ms / 1000,
                                .tv_nsec = timeout_ms % 1000 * 1000000L };
    int rc = ppoll(pfds, 2, &timeout, &screen.old_mask);

    *ret_ready = rc > 0 && pfds[1].revents;
    *ret_resized = screen.resized;
    screen.resized = 0;
    if (screen.ended)
        return false;
    return rc <= 0 || !pfds[0].revents || read_keys();
}

static void drop(size_t count)
{
    screen.key_count -= count;
    memmove(screen.keys, screen.keys + count, screen.key_count);
}

/* ESC [ and ESC O begin a sequence, which a letter or ~ ends. 0: it is not one. */
static size_t sequence_len(void)
{
    if (screen.key_count < 3 || (screen.keys[1] != '[' && screen.keys[1] != 'O'))
        return 0;
    for (size_t i = 2; i < screen.key_count; i++) {
        if (screen.keys[i] >= 0x40)
            return i + 1;
    }
    return 0;
}

static enum top_key sequence_key(size_t len)
{
    static const struct {
        const char *text;
        enum top_key key;
    } keys[] = { { "A", TOP_KEY_UP },        { "B", TOP_KEY_DOWN },  { "D", TOP_KEY_BACK },
                 { "C", TOP_KEY_ENTER },     { "H", TOP_KEY_HOME },  { "F", TOP_KEY_END },
                 { "5~", TOP_KEY_PAGE_UP },  { "1~", TOP_KEY_HOME }, { "4~", TOP_KEY_END },
                 { "6~", TOP_KEY_PAGE_DOWN } };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strlen(keys[i].text) == len - 2 && memcmp(screen.keys + 2, keys[i].text, len - 2) == 0)
            return keys[i].key;
    }
    return TOP_KEY_NONE;
}

static enum top_key plain_key(char c)
{
    static const char letters[] = "kj\r\nq\x03"
                                  "caw\x7f\b";
    static const enum top_key keys[] = { TOP_KEY_UP,   TOP_KEY_DOWN, TOP_KEY_ENTER, TOP_KEY_ENTER,
                                         TOP_KEY_QUIT, TOP_KEY_QUIT, TOP_KEY_COUNT, TOP_KEY_AGE,
                                         TOP_KEY_WAIT, TOP_KEY_BACK, TOP_KEY_BACK };
    const char *at = c ? strchr(letters, c) : NULL;

    return at ? keys[at - letters] : TOP_KEY_NONE;
}

enum top_key top_screen_key(void)
{
    enum top_key key = TOP_KEY_NONE;

    while (key == TOP_KEY_NONE && screen.key_count > 0) {
        size_t len = 1;

        if (screen.keys[0] == '\x1b') {
            struct pollfd pfd = { .fd = STDIN_FILENO, .events = POLLIN };

            while (sequence_len() == 0 && screen.key_count < 8 && poll(&pfd, 1, ESCAPE_MS) > 0 &&
                   read_keys())
                ;
            len = sequence_len();
            key = len ? sequence_key(len) : TOP_KEY_BACK;
            len = len ? len : 1;
        } else {
            key = plain_key(screen.keys[0]);
        }
        drop(len);
    }
    return key;
}
