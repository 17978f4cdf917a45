/* Idle tunnels: opens connections, has one answer on each, says so, and holds them until it is told to end. */
#include "loadgen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_ONCE 32 /* connections on their way: the number held matters here, not the speed */

static void start(const struct options *options, int epoll, struct connection *connection, int turn) {
    if (open_connection(options, connection, (unsigned)turn, true) < 0) die("connect");
    watch(epoll, connection->fd, connection);
}

/* Whether the answer is whole. */
static bool drive(const struct options *options, struct connection *connection) {
    if (write_pending(connection) < 0) die("a held connection broke");
    for (;;) {
        ssize_t got = recv(connection->fd, scratch(), SCRATCH_BYTES, 0);
        if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) break;
        if (got <= 0) die("a held connection ended early");
        connection->received += (size_t)got;
    }
    return connection->received >= options->response;
}

int run_hold(const struct options *options) {
    struct connection *connections = calloc((size_t)options->connections, sizeof *connections);
    uint64_t started = now_ns(), last_progress = started;
    int epoll = epoll_create1(EPOLL_CLOEXEC), begun = 0, held = 0;
    while (begun < options->connections && begun < AT_ONCE) {
        start(options, epoll, &connections[begun], begun);
        begun++;
    }
    struct epoll_event events[256];
    while (held < options->connections) {
        int ready = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection->started || !drive(options, connection)) continue;
            connection->started = last_progress = now_ns(); /* held: what else may come is none of our business */
            held++;
            if (begun < options->connections) {
                start(options, epoll, &connections[begun], begun);
                begun++;
            }
        }
        if ((double)(now_ns() - last_progress) > STALL_SECONDS * 1e9) {
            fprintf(stderr, "loadgen: only %d of %d connections have an answer\n", held, options->connections);
            return 1;
        }
    }
    print_result("hold", options, NULL, (double)(now_ns() - started) / 1e9, 0, 0);
    for (;;) pause();
}
