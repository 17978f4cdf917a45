/*
 * A load generator and its servers, for byte streams through a proxy: one thread, one epoll, no locks.
 *
 * It measures from the application's side of a proxy pair and prints one JSON line. Nothing in it knows
 * HTTP/2 or TLS; the proxies see an ordinary TCP application, or one of HTTP/1.1 with keep-alive. Every socket is
 * registered once, edge triggered, so that the generator costs as few system calls as the work itself needs.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_SOURCES 64
#define SCRATCH_BYTES (256 * 1024)
#define HEAD_BYTES (8 * 1024) /* the head of an HTTP request or answer, at most */
#define STALL_SECONDS 10.0 /* no progress for so long: the path is broken, and a figure would be a lie */

enum proxy_header { PROXY_NONE, PROXY_V1, PROXY_V2 };
enum close_form { CLOSE_FIN, CLOSE_RESET };

struct options {
    struct sockaddr_in target;               /* the true destination; its port is the first of `ports` */
    struct sockaddr_in via;                  /* where to connect instead, if sin_port is set */
    struct in_addr sources[MAX_SOURCES];     /* local addresses, used in turn */
    int source_count;
    int ports;                               /* consecutive ports from the target's, used in turn */
    int hosts;                               /* consecutive addresses from the target's, used in turn */
    int connections;
    double seconds, warmup;                  /* measured time, and the time before it that does not count */
    size_t request, response;                /* bytes; of HTTP the answer's body */
    const char *host;                        /* whom an HTTP request names */
    enum proxy_header proxy;
    enum close_form close_form;
    bool whole;                              /* of exchanges: those begun in time are ended, and count */
};

/* Latencies in nanoseconds, kept whole: percentiles are exact. */
struct samples {
    uint64_t *values;
    size_t count, capacity;
    uint64_t with_warmup;                    /* operations that ended well, the warm-up's included */
};

/* One client connection. `out` is what has still to be written before an answer can be waited for. */
struct connection {
    int fd;
    const char *out;
    size_t out_left;
    size_t received;
    bool ended;                              /* our FIN is sent */
    uint64_t started;
    char *answer;                            /* of HTTP: what has come of its head, HEAD_BYTES at most */
    size_t whole;                            /* of HTTP: the length of it all, 0 until the head is complete */
    char first[256];                         /* a PROXY header and the first request, written as one */
};

/* sockets.c */
int open_listener(const struct sockaddr_in *address, int port_offset);
int open_connection(const struct options *options, struct connection *connection, unsigned turn,
                    bool with_request);
void watch(int epoll, int fd, void *tag);
void close_with_reset(int fd);
int write_pending(struct connection *connection);
const char *request_bytes(void);
char *scratch(void);
uint64_t now_ns(void);
void die(const char *what);

/* samples.c */
void samples_add(struct samples *samples, uint64_t value);
int finished(const struct samples *samples);
void print_result(const char *mode, const struct options *options, struct samples *samples, double seconds,
                  uint64_t bytes, uint64_t errors);

/* What `run_exchanges` sends, and how it reads the answer. */
enum progress { GONE = -1, PARTIAL, WHOLE };
struct exchange {
    const char *mode;
    const char *request;
    size_t length;
    enum progress (*receive)(const struct options *options, struct connection *connection);
};
int run_exchanges(const struct options *options, const struct exchange *exchange); /* rr.c */

/* One function per mode; the servers return only on SIGTERM or SIGINT. */
int serve_echo(const struct options *options);    /* serve.c: `request` bytes in, `response` bytes out */
int serve_sink(const struct options *options);    /* serve.c: reads to the end, answers with the count */
int serve_source(const struct options *options);  /* serve.c: writes until the reader goes away */
int serve_web(const struct options *options);     /* serve.c: answers a GET with the bytes that it asks for */
int run_rr(const struct options *options);        /* rr.c */
int run_http(const struct options *options);      /* http.c */
int run_connect(const struct options *options);   /* connect.c */
int run_send(const struct options *options);      /* bulk.c */
int run_receive(const struct options *options);   /* bulk.c */
int run_hold(const struct options *options);      /* hold.c */
int keep_awake(const struct options *options);    /* awake.c */

#endif
