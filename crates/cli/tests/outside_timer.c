/* The time of a command, taken by nothing of isolab's: fork, exec, read, waitpid.
 *
 *   outside_timer ROUNDS COMMAND...
 *
 * Reads a line before each start, and answers with two numbers: nanoseconds until the first byte and
 * until the command had been waited for. So the two timers can take turns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    char line[16], bytes[4096];
    if (argc < 2)
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        int ends[2], status;
        int64_t began = now(), first;
        if (pipe(ends))
            return 1;
        pid_t child = fork();
        if (child == 0) {
            dup2(ends[1], 1);
            close(ends[0]);
            close(ends[1]);
            if (!freopen("/dev/null", "r", stdin))
                _exit(126);
            execv(argv[1], argv + 1);
            _exit(127);
        }
        close(ends[1]);
        if (child < 0 || read(ends[0], bytes, 1) != 1)
            return 1;
        first = now() - began;
        while (read(ends[0], bytes, sizeof bytes) > 0)
            ;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 1;
        printf("%lld %lld\n", (long long)first, (long long)(now() - began));
        fflush(stdout);
        close(ends[0]);
    }
    return 0;
}
