/* A disk that obeys a file: what FLEET_DISK names holds one letter.
 *   e   the store's fsync fails with EIO
 *   w   it waits until the letter changes
 * Anything else: as the real one. Built and preloaded by test_fsync.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_store(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return strstr(path, "fleet.db") != NULL;
}

static char letter(void) {
    char read_one = 0;
    int fd = open(getenv("FLEET_DISK"), O_RDONLY);
    if (fd < 0) return 0;
    if (read(fd, &read_one, 1) < 1) read_one = 0;
    close(fd);
    return read_one;
}

static int obey(int fd, const char *name) {
    if (is_store(fd)) {
        while (letter() == 'w') usleep(1000);
        if (letter() == 'e') {
            errno = EIO;
            return -1;
        }
    }
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) { return obey(fd, "fsync"); }
int fdatasync(int fd) { return obey(fd, "fdatasync"); }
