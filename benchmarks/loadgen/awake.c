/*
 * Keeps every core from sleeping, at the lowest priority there is: a wake-up of a virtual machine's sleeping core
 * can cost more than a whole round trip through two proxies. Anything else that wants the core gets it at once.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void spin_on(int core) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0) die("sched_setaffinity");
    for (;;) __asm__ volatile("" ::: "memory");
}

int keep_awake(const struct options *options) {
    (void)options;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("sched_getaffinity");
    if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) != 0) die("sched_setscheduler"); /* inherited */
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed) || fork() != 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        spin_on(core);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}
