/* Idle tunnels: opens connections, has one answer on each, says so, and holds them until it is told to end. */
#include "loadgen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Blocking, one by one: the number matters here, not the speed. */
static void one_answer(const struct options *options, struct connection *connection) {
    while (connection->received < options->response) {
        struct pollfd wait = {.fd = connection->fd, .events = POLLIN};
        if (write_pending(connection) < 0) die("a held connection broke");
        if (connection->out_left > 0) wait.events |= POLLOUT;
        if (poll(&wait, 1, (int)(STALL_SECONDS * 1e3)) != 1) die("a held connection has no answer");
        ssize_t got = recv(connection->fd, scratch(), SCRATCH_BYTES, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) die("a held connection ended early");
        if (got > 0) connection->received += (size_t)got;
    }
}

int run_hold(const struct options *options) {
    struct connection *connections = calloc((size_t)options->connections, sizeof *connections);
    uint64_t started = now_ns();
    for (int i = 0; i < options->connections; i++) {
        if (open_connection(options, &connections[i], (unsigned)i, true) < 0) die("connect");
        one_answer(options, &connections[i]);
    }
    print_result("hold", options, NULL, (double)(now_ns() - started) / 1e9, 0, 0);
    for (;;) pause();
}
