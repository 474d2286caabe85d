/*
 * What Linux has and Node has no door to:
 *
 *   send(address, text)   -> 0, or errno   one datagram to the service manager (sd_notify(3))
 *   exclusive(fd, isHeld) -> 0, or errno   a terminal that nobody else may open any more, or again (TIOCEXCL, TIOCNXCL)
 *
 * Node has datagram sockets for the internet alone. A socket for each message, as sd_notify does: it outlives a
 * service manager that starts itself anew. Never blocks: EAGAIN is for the caller to try again.
 */
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_BYTES 4096

static int say(const char *address, size_t address_length, const char *text, size_t text_length) {
  struct sockaddr_un to;
  memset(&to, 0, sizeof to);
  to.sun_family = AF_UNIX;
  if (address_length == 0 || address_length >= sizeof to.sun_path) return ENAMETOOLONG;
  memcpy(to.sun_path, address, address_length);
  /* The abstract namespace (unix(7)): a zero in front, and none behind. */
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + address_length);

  int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return errno;
  ssize_t sent = sendto(socket_fd, text, text_length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, length);
  int failed = sent < 0 ? errno : 0;
  close(socket_fd);
  return failed;
}

static napi_value number(napi_env env, int value) {
  napi_value result;
  return napi_create_int32(env, value, &result) == napi_ok ? result : NULL;
}

static napi_value call_send(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  char address[sizeof((struct sockaddr_un *)0)->sun_path + 1];
  char text[TEXT_BYTES];
  size_t address_length = 0;
  size_t text_length = 0;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 2 ||
      napi_get_value_string_utf8(env, arguments[0], address, sizeof address, &address_length) != napi_ok ||
      napi_get_value_string_utf8(env, arguments[1], text, sizeof text, &text_length) != napi_ok) {
    napi_throw_type_error(env, NULL, "send(address, text)");
    return NULL;
  }
  return number(env, say(address, address_length, text, text_length));
}

static napi_value call_exclusive(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  int32_t fd = -1;
  bool is_held = false;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 2 ||
      napi_get_value_int32(env, arguments[0], &fd) != napi_ok ||
      napi_get_value_bool(env, arguments[1], &is_held) != napi_ok) {
    napi_throw_type_error(env, NULL, "exclusive(fd, isHeld)");
    return NULL;
  }
  return number(env, ioctl(fd, is_held ? TIOCEXCL : TIOCNXCL) < 0 ? errno : 0);
}

static bool offer(napi_env env, napi_value exports, const char *name, napi_callback call) {
  napi_value function;
  return napi_create_function(env, name, NAPI_AUTO_LENGTH, call, NULL, &function) == napi_ok &&
         napi_set_named_property(env, exports, name, function) == napi_ok;
}

NAPI_MODULE_INIT() {
  return offer(env, exports, "send", call_send) && offer(env, exports, "exclusive", call_exclusive) ? exports : NULL;
}
