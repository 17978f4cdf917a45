/* Latencies and the one JSON line that every client mode prints. */
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

void samples_add(struct samples *samples, uint64_t value) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 1 << 16;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
        if (!samples->values) die("out of memory");
    }
    samples->values[samples->count++] = value;
}

static int ascending(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* A figure without a single operation is no figure: the caller ends with status 1. */
int finished(const struct samples *samples) {
    if (samples->count == 0) fprintf(stderr, "loadgen: not one operation came to its end\n");
    return samples->count == 0;
}

/* The smallest value that at least `part` of all values do not exceed, in microseconds. */
static double percentile_us(const struct samples *samples, double part) {
    size_t rank = (size_t)(part * (double)samples->count);
    if (rank >= samples->count) rank = samples->count - 1;
    return (double)samples->values[rank] / 1e3;
}

static double seconds_of(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

void print_result(const char *mode, const struct options *options, struct samples *samples, double seconds,
                  uint64_t bytes, uint64_t errors) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"mode\":\"%s\",\"connections\":%d,\"request\":%zu,\"response\":%zu,\"seconds\":%.6f", mode,
           options->connections, options->request, options->response, seconds);
    printf(",\"errors\":%llu,\"cpu_user_s\":%.6f,\"cpu_system_s\":%.6f", (unsigned long long)errors,
           seconds_of(usage.ru_utime), seconds_of(usage.ru_stime));
    if (bytes) printf(",\"bytes\":%llu,\"gbit_s\":%.6f", (unsigned long long)bytes, (double)bytes * 8e-9 / seconds);
    if (samples && samples->count) {
        qsort(samples->values, samples->count, sizeof *samples->values, ascending);
        printf(",\"operations\":%zu,\"per_second\":%.3f", samples->count, (double)samples->count / seconds);
        printf(",\"with_warmup\":%llu", (unsigned long long)samples->with_warmup);
        printf(",\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f",
               percentile_us(samples, 0.5), percentile_us(samples, 0.9), percentile_us(samples, 0.99),
               percentile_us(samples, 0.999), percentile_us(samples, 1.0));
    }
    printf("}\n");
    fflush(stdout);
}
