/*
 * Bulk. Every byte that is sent arrives before the clock is stopped, so that bytes, seconds and the CPU of whoever is in
 * between belong together: sent bytes are confirmed by the sink; a source is told to stop, and read to its end.
 */
#include "loadgen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct connection *open_all(const struct options *options) {
    struct connection *connections = calloc((size_t)options->connections, sizeof *connections);
    for (int i = 0; i < options->connections; i++) {
        if (open_connection(options, &connections[i], (unsigned)i, false) < 0) die("connect");
    }
    return connections;
}

/* Fills the socket. Edge triggered: the next event comes when there is room again. */
static uint64_t fill(struct connection *connection, uint64_t end) {
    uint64_t total = 0;
    if (write_pending(connection) != 1) return 0;
    while (now_ns() < end) {
        ssize_t sent = send(connection->fd, request_bytes(), SCRATCH_BYTES, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) die("a bulk connection ended early");
        if (sent < 0) break;
        total += (uint64_t)sent;
        if (sent < SCRATCH_BYTES) break;
    }
    return total;
}

/* The sink answers the end of its input with the number of bytes it had: eight bytes, little endian. */
static uint64_t confirmed(struct connection *connection) {
    uint64_t count = 0;
    size_t have = 0;
    fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) & ~O_NONBLOCK);
    shutdown(connection->fd, SHUT_WR);
    while (have < sizeof count) {
        struct pollfd wait = {.fd = connection->fd, .events = POLLIN};
        if (poll(&wait, 1, (int)(STALL_SECONDS * 1e3)) != 1) die("the sink does not confirm");
        ssize_t got = recv(connection->fd, (char *)&count + have, sizeof count - have, 0);
        if (got <= 0) die("the sink ended without its count");
        have += (size_t)got;
    }
    return count;
}

int run_send(const struct options *options) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t started = now_ns(), end = started + (uint64_t)(options->seconds * 1e9);
    uint64_t sent = 0, last_progress = started, bytes = 0;
    struct connection *connections = open_all(options);
    for (int i = 0; i < options->connections; i++) watch(epoll, connections[i].fd, &connections[i]);
    struct epoll_event events[256];
    while (now_ns() < end) {
        int ready = epoll_wait(epoll, events, 256, 100);
        uint64_t before = sent;
        for (int i = 0; i < ready; i++) sent += fill(events[i].data.ptr, end);
        if (sent > before) last_progress = now_ns();
        if ((double)(now_ns() - last_progress) > STALL_SECONDS * 1e9) die("stalled");
    }
    for (int i = 0; i < options->connections; i++) bytes += confirmed(&connections[i]);
    double seconds = (double)(now_ns() - started) / 1e9;
    if (bytes != sent) {
        fprintf(stderr, "loadgen: sent %llu bytes, the sink had %llu\n", (unsigned long long)sent,
                (unsigned long long)bytes);
        return 1;
    }
    print_result("send", options, NULL, seconds, bytes, 0);
    return 0;
}

/* Level triggered, one read an event: no connection starves another. */
static void await_input(int epoll, int change, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection->out_left > 0) event.events |= EPOLLOUT;
    if (epoll_ctl(epoll, change, connection->fd, &event) != 0) die("epoll_ctl");
}

/* One read; `*open` counts the connections whose end has not come yet. */
static uint64_t read_once(int epoll, struct connection *connection, int *open) {
    if (connection->out_left > 0) {
        if (write_pending(connection) < 0) die("a bulk connection broke");
        await_input(epoll, EPOLL_CTL_MOD, connection);
    }
    ssize_t got = recv(connection->fd, scratch(), SCRATCH_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) return 0;
    if (got < 0 || (got == 0 && !connection->ended)) die("a bulk connection ended early");
    if (got == 0) {
        close(connection->fd);
        (*open)--;
    }
    return (uint64_t)got;
}

/* The source ends when we do. */
static void tell_all_to_stop(const struct options *options, struct connection *connections) {
    for (int i = 0; i < options->connections; i++) {
        shutdown(connections[i].fd, SHUT_WR);
        connections[i].ended = true;
    }
}

int run_receive(const struct options *options) {
    int epoll = epoll_create1(EPOLL_CLOEXEC), open = options->connections;
    uint64_t started = now_ns(), end = started + (uint64_t)(options->seconds * 1e9);
    uint64_t bytes = 0, last_progress = started;
    bool stopping = false;
    struct connection *connections = open_all(options);
    for (int i = 0; i < options->connections; i++) await_input(epoll, EPOLL_CTL_ADD, &connections[i]);
    struct epoll_event events[256];
    while (open > 0) {
        if (!stopping && now_ns() >= end) tell_all_to_stop(options, connections), stopping = true;
        int ready = epoll_wait(epoll, events, 256, 10);
        for (int i = 0; i < ready; i++) bytes += read_once(epoll, events[i].data.ptr, &open);
        if (ready > 0) last_progress = now_ns();
        if ((double)(now_ns() - last_progress) > STALL_SECONDS * 1e9) die("stalled");
    }
    print_result("receive", options, NULL, (double)(now_ns() - started) / 1e9, bytes, 0);
    free(connections);
    return 0;
}
