/* What a program sees of datagrams; see scenarios.h. */
#include "sim/scenarios.h"

#include <weir/datagram.h>

#include "support/in_task.h"

static weir_datagram *open_at(const char *address)
{
    weir_datagram *d = NULL;

    CHECK_INT(weir_datagram_open(address, &d), 0);
    return d;
}

static void say_result(const char *what, int rc)
{
    say("%s: %s", what, rc < 0 ? weir_error_name(rc) : weir_format("%d", rc).ptr);
}

static void say_sent(weir_datagram *d, const char *text, const weir_address *to)
{
    say_result("send", weir_datagram_send(d, weir_str_c(text), to));
}

/* What comes next, in room for so many bytes; nothing when it takes too long. */
static weir_address say_received(weir_datagram *d, size_t room)
{
    char data[100];
    weir_packet p = { .data = data, .room = room };
    int rc = -ETIMEDOUT;

    WEIR_SCOPE(s, .timeout_ms = 300)
        rc = weir_datagram_recv(d, &p);
    weir_recover();
    if (rc == 1)
        say("received \"%.*s\"%s", (int)p.len, data, p.truncated ? ", cut" : "");
    else
        say_result("receive", rc);
    return p.peer;
}

static void there_and_back(const char *one_at, const char *other_at)
{
    weir_datagram *one = open_at(one_at), *other = open_at(other_at);
    weir_address to = weir_datagram_address(other), from = weir_datagram_address(one), peer;

    say_sent(one, "hello", &to);
    peer = say_received(other, 100);
    say("from who sent: %d", weir_str_eq(weir_address_text(&peer), weir_address_text(&from)));
    say_sent(other, "and back", &peer);
    peer = say_received(one, 3);
    say("from who answered: %d", weir_str_eq(weir_address_text(&peer), weir_address_text(&to)));
    say_sent(other, "", &from);
    say_received(one, 3);
    weir_datagram_close(one);
    weir_datagram_close(other);
}

int datagrams(void *arg)
{
    (void)arg;
    there_and_back("127.0.0.1:0", "127.0.0.1:0");
    there_and_back("[::1]:0", "[::1]:0");
    there_and_back("unix:@weir-scenario-one", "unix:@weir-scenario-other");
    return 0;
}

/* Who is at every address has a peer of the other family in the form of its own. */
int datagrams_of_both_families(void *arg)
{
    weir_datagram *any = open_at("[::]:0"), *four = open_at("127.0.0.1:0");
    weir_address at = weir_datagram_address(any), peer;
    weir_str text = weir_address_text(&at);
    size_t port = text.len;

    (void)arg;
    while (text.ptr[port - 1] != ':')
        port--;
    CHECK_INT(weir_address_parse(weir_format("127.0.0.1:%s", text.ptr + port).ptr, &at), 0);
    say_sent(four, "hello", &at);
    peer = say_received(any, 100);
    say("from IPv6: %d", weir_address_text(&peer).ptr[0] == '[');
    say_sent(any, "and back", &peer);
    peer = say_received(four, 100);
    say("from who was asked: %d", weir_str_eq(weir_address_text(&peer), weir_address_text(&at)));
    weir_datagram_close(any);
    weir_datagram_close(four);
    return 0;
}

int datagrams_refused(void *arg)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *peer = open_at("127.0.0.1:0");
    weir_address at = weir_datagram_address(peer);

    (void)arg;
    weir_datagram_close(peer);
    say_sent(d, "is not told", &at);
    say_received(d, 100);
    CHECK_INT(weir_datagram_connect(d, weir_address_text(&at).ptr), 0);
    say_sent(d, "anybody?", NULL);
    say_received(d, 100);
    say_received(d, 100);
    say_sent(d, "anybody?", NULL);
    CHECK_INT(weir_sleep_ms(50), 0);
    say_sent(d, "is told", NULL);
    say_sent(d, "goes out", NULL);
    CHECK_INT(weir_sleep_ms(50), 0);
    peer = open_at(weir_address_text(&at).ptr);
    say_sent(d, "is told", NULL);
    say_sent(d, "arrives", NULL);
    say_received(peer, 100);
    weir_datagram_close(peer);
    weir_datagram_close(d);
    return 0;
}

int datagrams_of_a_peer(void *arg)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *peer = open_at("127.0.0.1:0");
    weir_datagram *stranger = open_at("127.0.0.1:0");
    weir_address self = weir_datagram_address(d), at = weir_datagram_address(peer);

    (void)arg;
    CHECK_INT(weir_datagram_connect(d, weir_address_text(&at).ptr), 0);
    say_sent(stranger, "unheard", &self);
    say_received(d, 100);
    say_sent(peer, "heard", &self);
    say_received(d, 100);
    say_sent(d, "to who is not its peer", &self);
    weir_datagram_close(d);
    weir_datagram_close(peer);
    weir_datagram_close(stranger);
    return 0;
}

int datagrams_wrong(void *arg)
{
    weir_datagram *d = open_at("127.0.0.1:0"), *second = NULL;
    weir_address self = weir_datagram_address(d), other;
    static char large[70000];

    (void)arg;
    say_result("bind", weir_datagram_open(weir_address_text(&self).ptr, &second));
    say_result("too large", weir_datagram_send(d, weir_str_from(large, sizeof(large)), &self));
    say_result("the largest", weir_datagram_send(d, weir_str_from(large, 65507), &self));
    say_result("one more", weir_datagram_send(d, weir_str_from(large, 65508), &self));
    say_sent(d, "to nobody", NULL);
    CHECK_INT(weir_address_parse("[::1]:7", &other), 0);
    say_sent(d, "of another family", &other);
    CHECK_INT(weir_address_parse("127.0.0.1:0", &other), 0);
    say_sent(d, "to no port", &other);
    CHECK_INT(weir_address_parse("unix:@weir-scenario-nobody", &other), 0);
    weir_datagram_close(d);
    d = open_at("unix:@weir-scenario-wrong");
    say_sent(d, "where nobody is", &other);
    CHECK_INT(weir_address_parse("unix:/tmp/weir-scenario-nobody", &other), 0);
    say_sent(d, "where no file is", &other);
    say_sent(d, "to nobody", NULL);
    weir_datagram_close(d);
    weir_recover();
    return 0;
}
