/* The far applications: echo (or `request` bytes in, `response` bytes out), sink, source, and a web server. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct session {
    int fd;                 /* a listener when `accepting` */
    bool accepting, input_ended;
    uint64_t received;
    uint64_t owed;          /* bytes of answers still to be written */
};

/* Serves one readable or writable session; false: it is over. */
typedef bool (*behaviour)(struct session *session, const struct options *options);

static bool write_owed(struct session *session) {
    while (session->owed > 0) {
        size_t part = session->owed < SCRATCH_BYTES ? (size_t)session->owed : SCRATCH_BYTES;
        ssize_t sent = send(session->fd, request_bytes(), part, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        session->owed -= (uint64_t)sent;
    }
    return true;
}

static bool echo(struct session *session, const struct options *options) {
    for (;;) {
        if (!write_owed(session)) return false;
        if (session->owed > 0) return true; /* the next edge says that there is room */
        if (session->input_ended) return false;
        ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) session->input_ended = true;
        session->received += (uint64_t)(got > 0 ? got : 0);
        uint64_t whole = session->received / options->request;
        session->received -= whole * options->request;
        session->owed += whole * options->response;
    }
}

static bool sink(struct session *session, const struct options *options) {
    (void)options;
    for (;;) {
        ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) break;
        session->received += (uint64_t)got;
    }
    send(session->fd, &session->received, sizeof session->received, MSG_NOSIGNAL);
    return false;
}

static bool source(struct session *session, const struct options *options) {
    (void)options;
    session->owed = UINT64_MAX;
    ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
    return write_owed(session);
}

/* One answer, made once. */
static const char *answer_of(const struct options *options, size_t *length) {
    static char *answer;
    static size_t count;
    if (!answer) {
        char head[128];
        count = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %zu\r\n\r\n",
                                options->response);
        if (!(answer = malloc(count + options->response))) die("out of memory");
        memcpy(answer, head, count);
        for (size_t i = 0; i < options->response; i++) answer[count++] = (char)('a' + i % 26);
    }
    *length = count;
    return answer;
}

/* Every empty line ends a request: those without a body. `received` counts how much of one has been seen. */
static uint64_t requests_in(struct session *session, const char *data, size_t count) {
    uint64_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bool fits = data[i] == "\r\n\r\n"[session->received];
        session->received = fits ? session->received + 1 : data[i] == '\r';
        if (session->received == 4) {
            found++;
            session->received = 0;
        }
    }
    return found;
}

static bool web(struct session *session, const struct options *options) {
    size_t length;
    const char *answer = answer_of(options, &length);
    for (;;) {
        while (session->owed > 0) {
            size_t left = (session->owed - 1) % length + 1; /* of the answer that is being written */
            ssize_t sent = send(session->fd, answer + length - left, left, MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN;
            session->owed -= (uint64_t)sent;
        }
        ssize_t got = recv(session->fd, scratch(), SCRATCH_BYTES, 0);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        session->owed += requests_in(session, scratch(), (size_t)got) * length;
    }
}

static void accept_all(int epoll, const struct session *listener) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct session *session = calloc(1, sizeof *session);
        session->fd = fd;
        watch(epoll, fd, session);
    }
}

static _Noreturn void serve(const struct options *options, behaviour behave) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct session *listeners = calloc((size_t)options->ports, sizeof *listeners);
    for (int i = 0; i < options->ports; i++) {
        listeners[i].accepting = true;
        listeners[i].fd = open_listener(&options->target, i);
        watch(epoll, listeners[i].fd, &listeners[i]);
    }
    printf("ready\n");
    fflush(stdout);
    struct epoll_event events[256];
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct session *session = events[i].data.ptr;
            if (session->accepting) {
                accept_all(epoll, session);
            } else if (!behave(session, options)) {
                close(session->fd);
                free(session);
            }
        }
    }
}

int serve_echo(const struct options *options) { serve(options, echo); }
int serve_sink(const struct options *options) { serve(options, sink); }
int serve_source(const struct options *options) { serve(options, source); }
int serve_web(const struct options *options) { serve(options, web); }
