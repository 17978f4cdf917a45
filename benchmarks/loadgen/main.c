/* Arguments, and the choice of a mode. */
#define _GNU_SOURCE
#include "loadgen.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const char usage[] =
    "loadgen MODE --target IP:PORT [options]\n"
    "  servers (--target is where they listen): echo, sink, source, web\n"
    "  clients: rr, http, connect, send, receive, hold\n"
    "  neither: awake (no --target; keeps the cores from sleeping)\n"
    "  --ports N          consecutive ports from the target's (1)\n"
    "  --hosts N          consecutive addresses from the target's (1)\n"
    "  --via IP:PORT      connect there instead; --proxy says how it learns the target\n"
    "  --proxy v1|v2      open every connection with a PROXY protocol header\n"
    "  --source IP        local address; may be given up to 64 times\n"
    "  --connections N    at once (1)\n"
    "  --seconds S        measured time (3); --warmup S before it (0.2)\n"
    "  --request N, --response N   bytes (64)\n"
    "  --host NAME        whom an HTTP request names (the target)\n"
    "  --close fin|reset  how `connect` ends a connection (fin)\n"
    "  --whole            exchanges begun in time are ended, and count, however long that takes\n";

static void refuse(const char *what, const char *value) {
    fprintf(stderr, "loadgen: %s: %s\n%s", what, value, usage);
    exit(2);
}

static struct sockaddr_in address_of(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) refuse("want IP:PORT", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    int port = atoi(colon + 1);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || port < 1 || port > 65535)
        refuse("want IP:PORT", text);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static long number(const char *text, long low, long high) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || value < low || value > high) refuse("not a number in range", text);
    return value;
}

static void add_source(struct options *options, const char *text) {
    if (options->source_count == MAX_SOURCES) refuse("too many source addresses", text);
    if (inet_pton(AF_INET, text, &options->sources[options->source_count++]) != 1)
        refuse("want an IPv4 address", text);
}

enum { TARGET = 1, PORTS, HOSTS, VIA, PROXY, SOURCE, CONNECTIONS, SECONDS, WARMUP, REQUEST, RESPONSE, CLOSE, HOST, WHOLE_ONES };

static const struct option names[] = {
    {"target", 1, 0, TARGET},   {"ports", 1, 0, PORTS},     {"hosts", 1, 0, HOSTS},   {"via", 1, 0, VIA},
    {"proxy", 1, 0, PROXY},     {"source", 1, 0, SOURCE},   {"connections", 1, 0, CONNECTIONS},
    {"seconds", 1, 0, SECONDS}, {"warmup", 1, 0, WARMUP},   {"request", 1, 0, REQUEST},
    {"response", 1, 0, RESPONSE}, {"close", 1, 0, CLOSE},   {"host", 1, 0, HOST},   {"whole", 0, 0, WHOLE_ONES},
    {0, 0, 0, 0}};

static void take(struct options *options, int name, const char *value) {
    switch (name) {
    case TARGET: options->target = address_of(value); break;
    case PORTS: options->ports = (int)number(value, 1, 1000); break;
    case HOSTS: options->hosts = (int)number(value, 1, 65535); break;
    case VIA: options->via = address_of(value); break;
    case PROXY: options->proxy = strcmp(value, "v2") == 0 ? PROXY_V2 : PROXY_V1; break;
    case SOURCE: add_source(options, value); break;
    case CONNECTIONS: options->connections = (int)number(value, 1, 100000); break;
    case SECONDS: options->seconds = atof(value); break;
    case WARMUP: options->warmup = atof(value); break;
    case REQUEST: options->request = (size_t)number(value, 1, SCRATCH_BYTES); break;
    case RESPONSE: options->response = (size_t)number(value, 1, 1 << 24); break;
    case CLOSE: options->close_form = strcmp(value, "reset") == 0 ? CLOSE_RESET : CLOSE_FIN; break;
    case WHOLE_ONES: options->whole = true; break;
    case HOST: options->host = value; break;
    default: refuse("unknown option", "");
    }
}

static const struct {
    const char *name;
    int (*run)(const struct options *);
} modes[] = {
    {"echo", serve_echo}, {"sink", serve_sink},   {"source", serve_source}, {"web", serve_web},
    {"rr", run_rr}, {"http", run_http}, {"connect", run_connect}, {"send", run_send},
    {"receive", run_receive}, {"hold", run_hold}, {"awake", keep_awake}};

int main(int argc, char **argv) {
    struct options options = {
        .ports = 1, .hosts = 1, .connections = 1, .seconds = 3, .warmup = 0.2, .request = 64, .response = 64};
    if (argc < 2 || argv[1][0] == '-') refuse("no mode", "");
    int name;
    while ((name = getopt_long(argc - 1, argv + 1, "", names, NULL)) != -1) take(&options, name, optarg);
    if (optind != argc - 1) refuse("unexpected argument", argv[optind + 1]);
    bool alone = strcmp(argv[1], "awake") == 0;
    if (!options.target.sin_port && !alone) refuse("missing", "--target");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (limit.rlim_cur = limit.rlim_max)) setrlimit(RLIMIT_NOFILE, &limit);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0) return modes[i].run(&options);
    refuse("unknown mode", argv[1]);
}
