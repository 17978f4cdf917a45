/*
 * Keeps every core from sleeping, at the lowest priority there is: a wake-up of a virtual machine's sleeping core
 * can cost more than a whole round trip through two proxies. Anything else that wants the core gets it at once.
 *
 * Who spins ends with its keeper, also on a machine so busy that it hardly ever runs: it takes its low priority only
 * once that is arranged, and the keeper says that it is ready only then.
 */
#define _GNU_SOURCE
#include "loadgen.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static _Noreturn void spin_on(int core, pid_t keeper, int arranged) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) die("prctl");
    if (getppid() != keeper) _exit(0); /* it ended before we had asked to be told */
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0) die("sched_setaffinity");
    if (sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}) != 0) die("sched_setscheduler");
    if (write(arranged, "", 1) != 1) die("write");
    for (;;) __asm__ volatile("" ::: "memory");
}

int keep_awake(const struct options *options) {
    (void)options;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) die("sched_getaffinity");
    int arranged[2];
    if (pipe(arranged) != 0) die("pipe");
    pid_t keeper = getpid();
    int children = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed)) continue;
        pid_t child = fork();
        if (child < 0) die("fork");
        if (child == 0) spin_on(core, keeper, arranged[1]);
        children++;
    }
    close(arranged[1]); /* one that fails leaves an end of file */
    for (char one; children > 0; children--)
        if (read(arranged[0], &one, 1) != 1) return 1;
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}
