/* Round trips: each connection has one request on the way, and sends the next when the answer is whole. */
#include "loadgen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct run {
    const struct options *options;
    const struct exchange *exchange;
    struct samples samples;
    uint64_t measure_from, end, last_progress;
    uint64_t bytes;                          /* of answers, the warm-up's included */
    int busy;                                /* connections that go on */
};

static void next_request(struct run *run, struct connection *connection, uint64_t now) {
    connection->received = connection->whole = 0;
    connection->started = now;
    connection->out = run->exchange->request;
    connection->out_left = run->exchange->length;
}

static void answered(struct run *run, struct connection *connection) {
    uint64_t now = now_ns();
    run->samples.with_warmup++;
    run->bytes += connection->received;
    if (connection->started >= run->measure_from && (now <= run->end || run->options->whole))
        samples_add(&run->samples, now - connection->started);
    run->last_progress = now;
    next_request(run, connection, now);
    if (now > run->end && run->options->whole) {
        connection->out_left = 0; /* no further one */
        run->busy--;
    }
}

static enum progress receive_bytes(const struct options *options, struct connection *connection) {
    for (;;) {
        size_t want = options->response - connection->received;
        ssize_t got = recv(connection->fd, scratch(), want < SCRATCH_BYTES ? want : SCRATCH_BYTES, 0);
        if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? PARTIAL : GONE;
        if (got == 0) return GONE;
        connection->received += (size_t)got;
        if (connection->received == options->response) return WHOLE;
    }
}

/* Writes and reads until both would block. False: the connection is gone. */
static bool drive(struct run *run, struct connection *connection) {
    for (;;) {
        if (write_pending(connection) < 0) return false;
        enum progress progress = run->exchange->receive(run->options, connection);
        if (progress != WHOLE) return progress == PARTIAL;
        answered(run, connection);
    }
}

/* All connections are opened and have had their first answer's time begun before the clock starts. */
static struct connection *open_all(struct run *run, int epoll) {
    int count = run->options->connections;
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    for (int i = 0; i < count; i++) {
        struct connection *connection = &connections[i];
        if (open_connection(run->options, connection, (unsigned)i, false) < 0) die("connect");
        if (connection->out_left == 0) next_request(run, connection, now_ns());
        watch(epoll, connection->fd, connection);
    }
    return connections;
}

int run_rr(const struct options *options) {
    const struct exchange exchange = {"rr", request_bytes(), options->request, receive_bytes};
    return run_exchanges(options, &exchange);
}

int run_exchanges(const struct options *options, const struct exchange *exchange) {
    struct run run = {.options = options, .exchange = exchange};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    run.last_progress = now_ns();
    run.measure_from = run.last_progress + (uint64_t)(options->warmup * 1e9);
    run.end = run.measure_from + (uint64_t)(options->seconds * 1e9);
    struct connection *connections = open_all(&run, epoll);
    struct epoll_event events[256];
    run.busy = options->connections;
    while (options->whole ? run.busy > 0 : now_ns() < run.end) {
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!drive(&run, connection)) die("a connection ended early");
            /* A PROXY header goes out by itself: what follows it is the first request. */
            if (connection->started == 0 && connection->out_left == 0) {
                next_request(&run, connection, now_ns());
                if (!drive(&run, connection)) die("a connection ended early");
            }
        }
        if ((double)(now_ns() - run.last_progress) > STALL_SECONDS * 1e9) {
            fprintf(stderr, "loadgen: no answer for %.0f s on any of %d connections\n", STALL_SECONDS,
                    options->connections);
            return 1;
        }
    }
    for (int i = 0; i < options->connections; i++) run.bytes += connections[i].received;
    double seconds = options->whole ? (double)(now_ns() - run.measure_from) / 1e9 : options->seconds;
    print_result(exchange->mode, options, &run.samples, seconds, run.bytes, 0);
    for (int i = 0; i < options->connections; i++) {
        close(connections[i].fd);
        free(connections[i].answer);
    }
    free(connections);
    return finished(&run.samples);
}
