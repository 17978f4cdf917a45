/* Sockets and bytes that every mode needs: listeners, connections through a proxy, the PROXY header. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char scratch_buffer[SCRATCH_BYTES];
static char payload[SCRATCH_BYTES];

char *scratch(void) { return scratch_buffer; }

const char *request_bytes(void) {
    if (payload[0] == 0) {
        for (size_t i = 0; i < sizeof payload; i++) payload[i] = (char)('a' + i % 26);
    }
    return payload;
}

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void set_option(int fd, int level, int name, int value) {
    if (setsockopt(fd, level, name, &value, sizeof value) != 0) die("setsockopt");
}

int open_listener(const struct sockaddr_in *address, int port_offset) {
    struct sockaddr_in bound = *address;
    bound.sin_port = htons((uint16_t)(ntohs(address->sin_port) + port_offset));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, (struct sockaddr *)&bound, sizeof bound) != 0) die("bind");
    if (listen(fd, 4096) != 0) die("listen");
    return fd;
}

void watch(int epoll, int fd, void *tag) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = tag};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

void close_with_reset(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

/* Version 1 is a line of text, version 2 a fixed block: twelve bytes of signature, command, family, length,
 * then source and destination. The ports of the source are of no interest to anybody. */
static size_t proxy_header(char *out, enum proxy_header form, struct in_addr source,
                           const struct sockaddr_in *destination) {
    if (form == PROXY_NONE) return 0;
    if (form == PROXY_V1) {
        char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &source, from, sizeof from);
        inet_ntop(AF_INET, &destination->sin_addr, to, sizeof to);
        return (size_t)sprintf(out, "PROXY TCP4 %s %s 5555 %d\r\n", from, to, ntohs(destination->sin_port));
    }
    memcpy(out, "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16);
    memcpy(out + 16, &source, 4);
    memcpy(out + 20, &destination->sin_addr, 4);
    uint16_t from_port = htons(5555);
    memcpy(out + 24, &from_port, 2);
    memcpy(out + 26, &destination->sin_port, 2);
    return 28;
}

/* Starts a connection; its PROXY header, and with `with_request` the first request, are pending on return.
 * Returns the descriptor, or -1 with errno set. `turn` chooses among the source addresses and ports. */
int open_connection(const struct options *options, struct connection *connection, unsigned turn,
                    bool with_request) {
    struct sockaddr_in destination = options->target;
    unsigned port = ntohs(options->target.sin_port) + turn % (unsigned)options->ports;
    destination.sin_port = htons((uint16_t)port);
    destination.sin_addr.s_addr = htonl(ntohl(destination.sin_addr.s_addr) + turn % (unsigned)options->hosts);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    struct sockaddr_in local = {.sin_family = AF_INET};
    if (options->source_count > 0) {
        local.sin_addr = options->sources[turn % (unsigned)options->source_count];
        set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, (struct sockaddr *)&local, sizeof local) != 0) die("bind to the source address");
    }
    const struct sockaddr_in *hop = options->via.sin_port ? &options->via : &destination;
    if (connect(fd, (const struct sockaddr *)hop, sizeof *hop) != 0 && errno != EINPROGRESS) {
        int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    size_t length = proxy_header(connection->first, options->proxy, local.sin_addr, &destination);
    bool joined = with_request && length + options->request <= sizeof connection->first;
    if (joined) memcpy(connection->first + length, request_bytes(), options->request);
    connection->fd = fd;
    connection->out = connection->first;
    connection->out_left = length + (joined ? options->request : 0);
    if (with_request && length == 0 && !joined) {
        connection->out = request_bytes();
        connection->out_left = options->request;
    }
    connection->received = 0;
    connection->ended = false;
    return fd;
}

/* Writes what is pending. 1: all written; 0: the socket is full or not yet connected; -1: broken. */
int write_pending(struct connection *connection) {
    while (connection->out_left > 0) {
        ssize_t sent = send(connection->fd, connection->out, connection->out_left, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
        connection->out += sent;
        connection->out_left -= (size_t)sent;
    }
    return 1;
}
