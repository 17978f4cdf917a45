/* HTTP/1.1 round trips: each connection has one GET on the way, and sends the next when the answer is whole. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The length of an answer whose head is complete, 0 before; ends the program if it is not the one expected. */
static size_t length_of(const char *answer, size_t count) {
    const char *body = memmem(answer, count, "\r\n\r\n", 4);
    if (!body) return 0;
    size_t head = (size_t)(body + 4 - answer);
    static const char name[] = "\r\ncontent-length:";
    for (const char *at = answer; at + sizeof name <= body; at++)
        if (strncasecmp(at, name, sizeof name - 1) == 0) {
            size_t length = strtoul(at + sizeof name - 1, NULL, 10);
            if (strncmp(answer, "HTTP/1.1 200 ", 13) == 0) return head + length;
        }
    int line = (int)strcspn(answer, "\r\n");
    fprintf(stderr, "loadgen: not a 200 with a content-length: %.*s\n", line, answer);
    exit(1);
}

static enum progress receive_answer(const struct options *options, struct connection *connection) {
    (void)options;
    if (!connection->answer && !(connection->answer = calloc(1, HEAD_BYTES))) die("out of memory");
    for (;;) {
        bool in_body = connection->whole > 0;
        char *into = in_body ? scratch() : connection->answer + connection->received;
        size_t room = in_body ? SCRATCH_BYTES : HEAD_BYTES - connection->received;
        if (room == 0) die("an answer's head is too long");
        ssize_t got = recv(connection->fd, into, room, 0);
        if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? PARTIAL : GONE;
        if (got == 0) return GONE;
        connection->received += (size_t)got;
        if (!connection->whole) connection->whole = length_of(connection->answer, connection->received);
        if (connection->whole && connection->received > connection->whole) return GONE;
        if (connection->received == connection->whole) return WHOLE;
    }
}

int run_http(const struct options *options) {
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "GET /items/7?bytes=%zu HTTP/1.1\r\nhost: %s\r\nuser-agent: loadgen/1\r\naccept: */*\r\n\r\n",
                          options->response, options->host ? options->host : "loadgen");
    if (length >= (int)sizeof request) die("--host is too long");
    const struct exchange exchange = {"http", request, (size_t)length, receive_answer};
    return run_exchanges(options, &exchange);
}
