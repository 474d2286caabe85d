/* The other end of the serial bench, and what a program in C reaches on the same line.
 *
 *   peer echo                 gives back what it hears; prints the port
 *   peer ask PORT N           asks N times with 16 bytes and prints p50 and p99 in nanoseconds
 *   peer source BYTES         says BYTES as fast as they are taken; prints the port
 *   peer drain PORT BYTES     reads BYTES and prints megabytes a second
 *   peer pace FILE RATE N     says FILE again and again at RATE bytes a second on N ports; prints them
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void make_raw(int fd) {
  struct termios settings;
  if (tcgetattr(fd, &settings)) fail("tcgetattr");
  cfmakeraw(&settings);
  if (tcsetattr(fd, TCSANOW, &settings)) fail("tcsetattr");
}

/* The slave is held open, so that a host may come and go. */
static int open_master(void) {
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) || unlockpt(master)) fail("ptmx");
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (slave < 0) fail("slave");
  make_raw(slave);
  printf("%s\n", ptsname(master));
  fflush(stdout);
  return master;
}

static int open_port(const char *path) {
  int fd = open(path, O_RDWR | O_NOCTTY);
  if (fd < 0) fail(path);
  make_raw(fd);
  return fd;
}

static void write_all(int fd, const char *bytes, size_t count) {
  while (count > 0) {
    ssize_t taken = write(fd, bytes, count);
    if (taken < 0) exit(0);
    bytes += taken;
    count -= (size_t)taken;
  }
}

static int ascending(const void *a, const void *b) {
  long long x = *(const long long *)a, y = *(const long long *)b;
  return (x > y) - (x < y);
}

static void ask(const char *path, int rounds) {
  int fd = open_port(path);
  char bytes[16] = "0123456789abcdef";
  long long *times = calloc((size_t)rounds, sizeof *times);
  for (int round = 0; round < rounds; round += 1) {
    long long start = now();
    write_all(fd, bytes, sizeof bytes);
    for (size_t heard = 0; heard < sizeof bytes;) {
      ssize_t count = read(fd, bytes + heard, sizeof bytes - heard);
      if (count <= 0) fail("read");
      heard += (size_t)count;
    }
    times[round] = now() - start;
  }
  qsort(times, (size_t)rounds, sizeof *times, ascending);
  printf("%lld %lld\n", times[rounds / 2], times[rounds * 99 / 100]);
}

static void drain(const char *path, long long wanted) {
  int fd = open_port(path);
  char buffer[65536];
  long long start = now(), heard = 0;
  while (heard < wanted) {
    ssize_t count = read(fd, buffer, sizeof buffer);
    if (count <= 0) break;
    heard += count;
  }
  printf("%.3f\n", heard * 1e3 / (double)(now() - start));
}

static void pace(const char *file, long long rate, int ports) {
  FILE *source = fopen(file, "rb");
  static char text[1 << 20];
  if (!source) fail(file);
  size_t length = fread(text, 1, sizeof text, source);
  int *masters = calloc((size_t)ports, sizeof *masters);
  for (int port = 0; port < ports; port += 1) masters[port] = open_master();
  const long long tick = 10000000;
  size_t step = (size_t)(rate * tick / 1000000000LL), at = 0;
  for (long long next = now();; next += tick) {
    for (int port = 0; port < ports; port += 1) {
      size_t count = at + step > length ? length - at : step;
      write_all(masters[port], text + at, count);
    }
    at = at + step >= length ? 0 : at + step;
    struct timespec until = {(next + tick) / 1000000000LL, (next + tick) % 1000000000LL};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
  }
}

int main(int count, char **words) {
  char buffer[65536];
  if (count == 2 && !strcmp(words[1], "echo")) {
    int master = open_master();
    for (ssize_t heard; (heard = read(master, buffer, sizeof buffer)) > 0;) write_all(master, buffer, (size_t)heard);
  } else if (count == 4 && !strcmp(words[1], "ask")) {
    ask(words[2], atoi(words[3]));
  } else if (count == 3 && !strcmp(words[1], "source")) {
    int master = open_master();
    /* the host says a byte when it is ready */
    if (read(master, buffer, 1) != 1) fail("start");
    memset(buffer, 0x55, sizeof buffer);
    for (long long left = atoll(words[2]); left > 0; left -= (long long)sizeof buffer)
      write_all(master, buffer, left < (long long)sizeof buffer ? (size_t)left : sizeof buffer);
    if (read(master, buffer, 1) < 0) return 0;
  } else if (count == 4 && !strcmp(words[1], "drain")) {
    int fd = open_port(words[2]);
    write_all(fd, "!", 1);
    close(fd);
    drain(words[2], atoll(words[3]));
  } else if (count == 5 && !strcmp(words[1], "pace")) {
    pace(words[2], atoll(words[3]), atoi(words[4]));
  } else {
    fprintf(stderr, "echo | ask PORT N | source BYTES | drain PORT BYTES | pace FILE RATE N\n");
    return 2;
  }
  return 0;
}
