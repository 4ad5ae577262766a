/* The floor: what one process on one core pays for HTTP/1.1 itself. An epoll loop that finds the
 * end of each head, skips Content-Length bytes and writes one constant answer. No limits, no parse.
 * usage: floor PORT, prints "listening" when it accepts. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (8 << 20)
#define MOST 4096

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 35\r\n"
    "X-Request-Id: 0123456789abcdef\r\nX-Model-Name: floor\r\nX-Model-Version: 1\r\n\r\n"
    "{\"predictions\":[0.123456789012345]}";

struct connection { size_t used; char data[ROOM]; };
static struct connection *connections[MOST];

/* Bytes of the first whole request in data, 0 while it has not all come. */
static size_t whole(const char *data, size_t used) {
  const char *end = memmem(data, used, "\r\n\r\n", 4);
  if (!end) return 0;
  size_t head = (size_t)(end - data) + 4, body = 0;
  for (const char *line = data; line < end;) {
    const char *next = memchr(line, '\n', (size_t)(end + 2 - line));
    if (!next) break;
    if (!strncasecmp(line, "content-length:", 15)) body = strtoul(line + 15, NULL, 10);
    line = next + 1;
  }
  return head + body <= used ? head + body : 0;
}

static void serve(int epoll, int client) {
  struct connection *c = connections[client];
  ssize_t got = read(client, c->data + c->used, ROOM - c->used);
  if (got <= 0) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, client, NULL);
    close(client);
    free(c);
    connections[client] = NULL;
    return;
  }
  c->used += (size_t)got;
  size_t size;
  while ((size = whole(c->data, c->used))) {
    if (write(client, ANSWER, sizeof ANSWER - 1) < 0) return;
    memmove(c->data, c->data + size, c->used - size);
    c->used -= size;
  }
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  puts("listening");
  fflush(stdout);
  for (;;) {
    int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; i++) {
      int fd = events[i].data.fd;
      if (fd != listener) { serve(epoll, fd); continue; }
      int client = accept(listener, NULL, NULL);
      if (client < 0 || client >= MOST) { if (client >= 0) close(client); continue; }
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      connections[client] = calloc(1, sizeof(struct connection));
      event = (struct epoll_event){.events = EPOLLIN, .data.fd = client};
      epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
    }
  }
}
