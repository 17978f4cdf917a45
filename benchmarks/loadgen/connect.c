/*
 * New connections: connect, one request, one answer, an end in both directions; then the next.
 *
 * With CLOSE_FIN (the default) the client ends first and waits for the far application's end, so that the
 * time covers a whole clean tunnel. With CLOSE_RESET it resets after the answer.
 */
#include "loadgen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct run {
    const struct options *options;
    struct samples samples;
    uint64_t measure_from, end, last_progress, errors;
    unsigned turn;
    int epoll;
};

static void start(struct run *run, struct connection *connection) {
    connection->started = now_ns();
    if (open_connection(run->options, connection, run->turn++, true) < 0) die("connect");
    watch(run->epoll, connection->fd, connection);
}

static void finish(struct run *run, struct connection *connection, bool good) {
    uint64_t now = now_ns();
    bool counts = connection->started >= run->measure_from && now <= run->end;
    if (good && counts) samples_add(&run->samples, now - connection->started);
    if (good) run->samples.with_warmup++, run->last_progress = now;
    else run->errors++;
    if (good && run->options->close_form == CLOSE_FIN) close(connection->fd);
    else close_with_reset(connection->fd);
    if (now < run->end) start(run, connection);
    else connection->fd = -1;
}

/* Reads what is there. 1: the tunnel came to its clean end; 0: more is to come; -1: it broke. */
static int read_answer(struct run *run, struct connection *connection) {
    for (;;) {
        ssize_t got = recv(connection->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
        if (got == 0) return connection->ended ? 1 : -1;
        connection->received += (size_t)got;
        if (connection->received < run->options->response) continue;
        if (run->options->close_form == CLOSE_RESET) return 1;
        if (!connection->ended) shutdown(connection->fd, SHUT_WR);
        connection->ended = true;
    }
}

static void drive(struct run *run, struct connection *connection) {
    int outcome = write_pending(connection);
    if (outcome >= 0) outcome = read_answer(run, connection);
    if (outcome != 0) finish(run, connection, outcome > 0);
}

int run_connect(const struct options *options) {
    struct run run = {.options = options, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct connection *connections = calloc((size_t)options->connections, sizeof *connections);
    run.last_progress = now_ns();
    run.measure_from = run.last_progress + (uint64_t)(options->warmup * 1e9);
    run.end = run.measure_from + (uint64_t)(options->seconds * 1e9);
    for (int i = 0; i < options->connections; i++) start(&run, &connections[i]);
    struct epoll_event events[256];
    while (now_ns() < run.end) {
        int ready = epoll_wait(run.epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) drive(&run, events[i].data.ptr);
        if ((double)(now_ns() - run.last_progress) > STALL_SECONDS * 1e9) {
            fprintf(stderr, "loadgen: no tunnel came to its end in %.0f s (%llu errors)\n", STALL_SECONDS,
                    (unsigned long long)run.errors);
            return 1;
        }
    }
    print_result("connect", options, &run.samples, options->seconds, 0, run.errors);
    free(connections);
    return finished(&run.samples);
}
