/* A streaming chat-completions server of known timing that logs every send; see README.md.
 *
 * One thread, one epoll, one timerfd, absolute deadlines in a heap, everything prebuilt. Times are
 * CLOCK_MONOTONIC in nanoseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MOST_STREAMS = 4096, MOST_EVENTS = 256, READ_SIZE = 1 << 16, TEXT_SIZE = 1024 };
enum { LARGEST_REQUEST = 64 << 20, MOST_TOKENS = 1 << 20 };
static const int64_t SECOND_NS = 1000000000;

typedef struct {
    char *bytes;
    size_t size, room;
} Buffer;

/* One answered request: when it came, and the time just before each token was given to the kernel. */
typedef struct {
    int64_t number, arrived_ns, read_ns;
    int64_t *sent_ns;
    int sent, wished, port, prompt;
    bool is_broken;
} Answer;

typedef struct {
    int fd, port;
    Buffer in, out; /* `out` holds what the socket's buffer had no room for */
    Answer *answer; /* that is being streamed; NULL between requests */
} Stream;

typedef struct {
    int64_t at_ns;
    Stream *stream;
} Due;

typedef struct {
    int port, tokens;
    int64_t ttft_ns, interval_ns, early_ns;
    bool until_eof;
} Options;

static struct {
    Options options;
    int poll, timer, listener, signals;
    int near, far; /* a connection to ourselves, see `warm_up` */
    Due due[MOST_STREAMS];
    size_t dues;
    Answer **answers;
    size_t count, room;
    uint64_t blocked; /* sends for which a socket's buffer had no room */
} server;

static Buffer head_and_role, token;

/* ---- small things ---------------------------------------------------------------------------- */

static void fail(const char *what)
{
    fprintf(stderr, "truth_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *need(void *memory)
{
    if (memory == NULL)
        fail("memory");
    return memory;
}

static int64_t read_clock(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void append(Buffer *buffer, const char *bytes, size_t size)
{
    if (buffer->size + size + 1 > buffer->room) {
        buffer->room = 2 * (buffer->size + size + 1);
        buffer->bytes = need(realloc(buffer->bytes, buffer->room));
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    buffer->bytes[buffer->size] = '\0';
}

static void append_text(Buffer *buffer, const char *text)
{
    append(buffer, text, strlen(text));
}

static void append_chunk(Buffer *buffer, const char *text)
{
    char line[32];
    append(buffer, line, (size_t)snprintf(line, sizeof line, "%zx\r\n", strlen(text)));
    append_text(buffer, text);
    append_text(buffer, "\r\n");
}

static void set_option(int fd, int level, int name)
{
    if (setsockopt(fd, level, name, &(int){1}, sizeof(int)) < 0)
        fail("setsockopt");
}

/* ---- what is sent ---------------------------------------------------------------------------- */

/* One event as vLLM's and TensorRT-LLM's servers word it: some 200 bytes. */
#define EVENT(delta, reason)                                                                       \
    "data: {\"id\":\"chatcmpl-0123456789abcdef0123456789abcdef\","                                 \
    "\"object\":\"chat.completion.chunk\",\"created\":1763900000,\"model\":\"truth\","             \
    "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" reason    \
    "}]}\n\n"

static void build_texts(void)
{
    append_text(&head_and_role, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n");
    append_chunk(&head_and_role, EVENT("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
    append_chunk(&token, EVENT("{\"content\":\" word\"}", "null"));
}

/* What a server may count: words of the last message, so that longer prompts have more. */
static int count_prompt(const char *body)
{
    const char *found = NULL;
    for (const char *at = body; (at = strstr(at, "\"content\"")) != NULL; at++)
        found = at + strlen("\"content\"");
    int words = 1;
    if (found != NULL && (found = strchr(found, '"')) != NULL)
        for (found++; *found != '\0' && *found != '"'; found++)
            words += *found == ' ';
    return words;
}

static void append_end(Buffer *buffer, const Answer *answer)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text,
             EVENT("{}", "\"length\"") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,"
             "\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n",
             answer->prompt, answer->wished, answer->prompt + answer->wished);
    append_chunk(buffer, text);
    append_text(buffer, "0\r\n\r\n");
}

/* ---- streams --------------------------------------------------------------------------------- */

static void watch(Stream *stream, uint32_t events, int how)
{
    struct epoll_event event = {.events = events, .data.ptr = stream};
    if (epoll_ctl(server.poll, how, stream->fd, &event) < 0)
        fail("epoll_ctl");
}

static void drop(Stream *stream)
{
    if (stream->fd < 0)
        return;
    close(stream->fd);
    stream->fd = -1; /* freed when nothing is due on it any more */
    if (stream->answer != NULL)
        stream->answer->is_broken = true;
}

static void release(Stream *stream)
{
    free(stream->in.bytes);
    free(stream->out.bytes);
    free(stream);
}

static void send_bytes(Stream *stream, const char *bytes, size_t size)
{
    if (stream->fd < 0)
        return;
    ssize_t done = 0;
    if (stream->out.size == 0) {
        done = send(stream->fd, bytes, size, MSG_NOSIGNAL);
        if (done < 0 && errno != EAGAIN) {
            drop(stream);
            return;
        }
        done = done < 0 ? 0 : done;
    }
    if ((size_t)done == size)
        return;
    server.blocked++;
    if (stream->out.size == 0)
        watch(stream, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    append(&stream->out, bytes + done, size - (size_t)done);
}

static void send_rest(Stream *stream)
{
    ssize_t done = send(stream->fd, stream->out.bytes, stream->out.size, MSG_NOSIGNAL);
    if (done < 0) {
        if (errno != EAGAIN)
            drop(stream);
        return;
    }
    stream->out.size -= (size_t)done;
    memmove(stream->out.bytes, stream->out.bytes + done, stream->out.size);
    if (stream->out.size == 0)
        watch(stream, EPOLLIN, EPOLL_CTL_MOD);
}

/* ---- what is due, the earliest first --------------------------------------------------------- */

static void sink(size_t place)
{
    Due moved = server.due[place];
    for (size_t child; (child = 2 * place + 1) < server.dues; place = child) {
        if (child + 1 < server.dues && server.due[child + 1].at_ns < server.due[child].at_ns)
            child++;
        if (moved.at_ns <= server.due[child].at_ns)
            break;
        server.due[place] = server.due[child];
    }
    server.due[place] = moved;
}

static void push(int64_t at_ns, Stream *stream)
{
    size_t place = server.dues++;
    for (; place > 0 && server.due[(place - 1) / 2].at_ns > at_ns; place = (place - 1) / 2)
        server.due[place] = server.due[(place - 1) / 2];
    server.due[place] = (Due){at_ns, stream};
}

static void pop(void)
{
    server.due[0] = server.due[--server.dues];
    if (server.dues > 0)
        sink(0);
}

/* On an idle core the first system call after a pause takes 50 us longer than the next, between our
 * clock and the kernel's stamp, and would be booked as the client's error. So the way of a chunk is
 * walked to ourselves until the moment has come.
 */
static void warm_up(void)
{
    char sink_of_bytes[TEXT_SIZE];
    if (send(server.near, token.bytes, token.size, MSG_NOSIGNAL) > 0)
        while (recv(server.far, sink_of_bytes, sizeof sink_of_bytes, 0) > 0)
            ;
}

static void send_token(Stream *stream)
{
    Answer *answer = stream->answer;
    answer->sent_ns[answer->sent++] = read_clock(CLOCK_MONOTONIC);
    send_bytes(stream, token.bytes, token.size);
}

/* One token for every stream whose time has come, after waiting for it actively if it is near. */
static void send_due(void)
{
    int64_t now = read_clock(CLOCK_MONOTONIC);
    if (server.dues == 0 || server.due[0].at_ns - now > server.options.early_ns)
        return;
    for (; server.due[0].at_ns > now; now = read_clock(CLOCK_MONOTONIC))
        warm_up();
    while (server.dues > 0 && server.due[0].at_ns <= now) {
        Stream *stream = server.due[0].stream;
        Answer *answer = stream->answer;
        if (stream->fd >= 0)
            send_token(stream);
        if (stream->fd >= 0 && answer->sent < answer->wished) {
            server.due[0].at_ns += server.options.interval_ns;
            sink(0);
            continue;
        }
        pop();
        stream->answer = NULL;
        if (stream->fd < 0) {
            release(stream);
            continue;
        }
        Buffer end = {0};
        append_end(&end, answer);
        send_bytes(stream, end.bytes, end.size);
        free(end.bytes);
        if (stream->fd < 0)
            release(stream);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static void reply(Stream *stream, int status, const Buffer *body)
{
    char head[TEXT_SIZE];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d -\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        status, body->size);
    send_bytes(stream, head, (size_t)size);
    send_bytes(stream, body->bytes, body->size);
}

static void reply_text(Stream *stream, int status, const char *text)
{
    Buffer body = {0};
    append_text(&body, text);
    reply(stream, status, &body);
    free(body.bytes);
}

static void reply_log(Stream *stream)
{
    Buffer body = {0};
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "{\"blocked\":%" PRIu64 ",\"answers\":[", server.blocked);
    append_text(&body, text);
    for (size_t place = 0; place < server.count; place++) {
        const Answer *answer = server.answers[place];
        snprintf(text, sizeof text,
                 "%s{\"n\":%" PRId64 ",\"port\":%d,\"arrived_ns\":%" PRId64 ",\"read_ns\":%" PRId64
                 ",\"wished\":%d,\"is_broken\":%s,\"sent_ns\":[",
                 place ? ",\n" : "", answer->number, answer->port, answer->arrived_ns,
                 answer->read_ns, answer->wished, answer->is_broken ? "true" : "false");
        append_text(&body, text);
        for (int token_place = 0; token_place < answer->sent; token_place++) {
            snprintf(text, sizeof text, "%s%" PRId64, token_place ? "," : "",
                     answer->sent_ns[token_place]);
            append_text(&body, text);
        }
        append_text(&body, "]}");
    }
    append_text(&body, "]}\n");
    reply(stream, 200, &body);
    free(body.bytes);
}

/* Answers that are still being streamed stay. */
static void forget_log(void)
{
    size_t kept = 0;
    for (size_t place = 0; place < server.count; place++) {
        Answer *answer = server.answers[place];
        if (answer->sent < answer->wished && !answer->is_broken) {
            server.answers[kept++] = answer;
            continue;
        }
        free(answer->sent_ns);
        free(answer);
    }
    server.count = kept;
    server.blocked = 0;
}

static int64_t find_number(const char *body, const char *key, int64_t otherwise)
{
    const char *found = strstr(body, key);
    if (found == NULL)
        return otherwise;
    found += strlen(key);
    found += strspn(found, ": ");
    return *found >= '0' && *found <= '9' ? strtoll(found, NULL, 10) : otherwise;
}

static Answer *new_answer(const Stream *stream, const char *body, int64_t arrived_ns)
{
    if (server.count == server.room) {
        server.room = 2 * server.room + 1024;
        server.answers = need(realloc(server.answers, server.room * sizeof *server.answers));
    }
    Answer *answer = need(calloc(1, sizeof *answer));
    int64_t wished = find_number(body, "\"max_tokens\"", server.options.tokens);
    wished = find_number(body, "\"max_completion_tokens\"", wished);
    answer->wished = wished < 1 ? 1 : wished > MOST_TOKENS ? MOST_TOKENS : (int)wished;
    answer->number = find_number(body, "\"n\"", -1);
    answer->port = stream->port;
    answer->prompt = count_prompt(body);
    answer->arrived_ns = arrived_ns;
    answer->read_ns = read_clock(CLOCK_MONOTONIC);
    answer->sent_ns = need(calloc((size_t)answer->wished, sizeof *answer->sent_ns));
    server.answers[server.count++] = answer;
    return answer;
}

static void answer_chat(Stream *stream, const char *body, int64_t arrived_ns)
{
    const char *streams = strstr(body, "\"stream\"");
    if (streams == NULL || strncmp(streams + 8 + strspn(streams + 8, ": "), "true", 4) != 0) {
        reply_text(stream, 200,
                   "{\"object\":\"chat.completion\",\"model\":\"truth\",\"choices\":[{\"index\":0,"
                   "\"message\":{\"role\":\"assistant\",\"content\":\"word\"},"
                   "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
                   "\"completion_tokens\":1,\"total_tokens\":2}}");
        return;
    }
    if (server.dues == MOST_STREAMS) {
        reply_text(stream, 503, "{\"error\":{\"message\":\"too many streams\"}}");
        return;
    }
    stream->answer = new_answer(stream, body, arrived_ns);
    send_bytes(stream, head_and_role.bytes, head_and_role.size);
    push(arrived_ns + server.options.ttft_ns, stream);
}

static void route(Stream *stream, const char *head, const char *body, int64_t arrived_ns)
{
    if (strncmp(head, "POST /v1/chat/completions ", 26) == 0)
        answer_chat(stream, body, arrived_ns);
    else if (strncmp(head, "GET /v1/models ", 15) == 0)
        reply_text(stream, 200,
                   "{\"object\":\"list\",\"data\":[{\"id\":\"truth\",\"object\":\"model\"}]}");
    else if (strncmp(head, "GET /health ", 12) == 0)
        reply_text(stream, 200, "{}");
    else if (strncmp(head, "GET /log ", 9) == 0)
        reply_log(stream);
    else if (strncmp(head, "DELETE /log ", 12) == 0) {
        forget_log();
        reply_text(stream, 200, "{}");
    } else
        reply_text(stream, 404, "{\"error\":{\"message\":\"not found\"}}");
}

/* Bytes of the first request in the buffer with its body; 0 while it is not whole, -1 for none. */
static ssize_t find_request(const Buffer *in, size_t *head_size)
{
    const char *blank = strstr(in->bytes, "\r\n\r\n");
    if (blank == NULL)
        return in->size > READ_SIZE ? -1 : 0;
    *head_size = (size_t)(blank - in->bytes) + 4;
    size_t length = 0;
    for (const char *line = in->bytes; line < blank; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            length = strtoul(line + 15, NULL, 10);
        if (strncasecmp(line, "transfer-encoding:", 18) == 0)
            return -1;
    }
    if (length > LARGEST_REQUEST)
        return -1;
    return in->size >= *head_size + length ? (ssize_t)(*head_size + length) : 0;
}

static void take_requests(Stream *stream, int64_t arrived_ns)
{
    while (stream->fd >= 0 && stream->answer == NULL && stream->in.size > 0) {
        size_t head_size = 0;
        ssize_t size = find_request(&stream->in, &head_size);
        if (size < 0)
            drop(stream);
        if (size <= 0)
            return;
        char after = stream->in.bytes[size];
        stream->in.bytes[size] = '\0';
        route(stream, stream->in.bytes, stream->in.bytes + head_size, arrived_ns);
        stream->in.bytes[size] = after;
        stream->in.size -= (size_t)size;
        memmove(stream->in.bytes, stream->in.bytes + size, stream->in.size + 1);
    }
}

/* When the kernel had received what was just read: its stamp is wall-clock time. */
static int64_t arrival(struct msghdr *message)
{
    int64_t before = read_clock(CLOCK_MONOTONIC);
    int64_t wall = read_clock(CLOCK_REALTIME);
    int64_t now = (before + read_clock(CLOCK_MONOTONIC)) / 2;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
            return now - (wall - stamp.tv_sec * SECOND_NS - stamp.tv_nsec);
        }
    return now;
}

static void read_stream(Stream *stream)
{
    static char bytes[READ_SIZE];
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec place = {bytes, sizeof bytes};
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(stream->fd, &message, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        drop(stream);
        return;
    }
    append(&stream->in, bytes, (size_t)count);
    take_requests(stream, arrival(&message));
}

static void accept_all(void)
{
    struct sockaddr_in peer;
    for (;;) {
        int fd = accept4(server.listener, (struct sockaddr *)&peer, &(socklen_t){sizeof peer},
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
        Stream *stream = need(calloc(1, sizeof *stream));
        stream->fd = fd;
        stream->port = ntohs(peer.sin_port);
        watch(stream, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void serve_event(Stream *stream, uint32_t events)
{
    if (stream->out.size > 0 && (events & EPOLLOUT))
        send_rest(stream);
    if (stream->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_stream(stream);
    if (stream->fd < 0 && stream->answer == NULL)
        release(stream);
}

static void set_timer(void)
{
    struct itimerspec when = {0};
    if (server.dues > 0) {
        int64_t at = server.due[0].at_ns - server.options.early_ns;
        at = at < 1 ? 1 : at;
        when.it_value = (struct timespec){at / SECOND_NS, at % SECOND_NS};
    }
    if (timerfd_settime(server.timer, TFD_TIMER_ABSTIME, &when, NULL) < 0)
        fail("timerfd_settime");
}

static void serve(void)
{
    struct epoll_event events[MOST_EVENTS];
    int64_t armed = -1;
    for (;;) {
        int64_t first = server.dues > 0 ? server.due[0].at_ns : -1;
        bool is_near = first >= 0 && first - read_clock(CLOCK_MONOTONIC) <= server.options.early_ns;
        if (!is_near && first != armed) {
            set_timer();
            armed = first;
        }
        int count = epoll_wait(server.poll, events, MOST_EVENTS, is_near ? 0 : -1);
        for (int place = 0; place < count; place++) {
            void *whose = events[place].data.ptr;
            uint64_t expired;
            if (whose == &server.signals)
                return;
            if (whose == &server.listener)
                accept_all();
            else if (whose == &server.timer) {
                if (read(server.timer, &expired, sizeof expired) > 0)
                    armed = -1;
            } else
                serve_event(whose, events[place].events);
        }
        send_due();
    }
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    /* Connections inherit it: bytes that came before `accept` are stamped as well. */
    set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
        fail("listen");
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_in address;
    if (getsockname(fd, (struct sockaddr *)&address, &(socklen_t){sizeof address}) < 0)
        fail("getsockname");
    return ntohs(address.sin_port);
}

static void connect_to_ourselves(void)
{
    int listener = listen_on(0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)port_of(listener));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(server.near, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    server.far = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    set_option(server.near, IPPROTO_TCP, TCP_NODELAY);
    close(listener);
}

static void watch_own(int fd, void *whose)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    if (epoll_ctl(server.poll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

static void prepare(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    build_texts();
    server.poll = epoll_create1(EPOLL_CLOEXEC);
    server.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    server.signals = signalfd(-1, &ends, SFD_CLOEXEC);
    server.listener = listen_on(server.options.port);
    connect_to_ourselves();
    watch_own(server.timer, &server.timer);
    watch_own(server.signals, &server.signals);
    watch_own(server.listener, &server.listener);
    if (server.options.until_eof)
        watch_own(STDIN_FILENO, &server.signals); /* an end like a signal */
}

static int64_t number_of(const char *text)
{
    char *rest;
    errno = 0;
    int64_t number = strtoll(text, &rest, 10);
    if (errno != 0 || rest == text || *rest != '\0' || number < 0) {
        fprintf(stderr, "truth_server: not a whole number: %s\n", text);
        exit(2);
    }
    return number;
}

static Options read_options(int count, char **arguments)
{
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},        {"ttft-us", required_argument, NULL, 't'},
        {"interval-us", required_argument, NULL, 'i'}, {"tokens", required_argument, NULL, 'n'},
        {"early-us", required_argument, NULL, 'e'},    {"until-eof", no_argument, NULL, 'u'},
        {NULL, 0, NULL, 0}};
    Options options = {
        .tokens = 256, .ttft_ns = 50000000, .interval_ns = 5000000, .early_ns = 300000};
    for (int name; (name = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        if (name == 'p')
            options.port = (int)number_of(optarg);
        else if (name == 't')
            options.ttft_ns = 1000 * number_of(optarg);
        else if (name == 'i')
            options.interval_ns = 1000 * number_of(optarg);
        else if (name == 'n')
            options.tokens = (int)number_of(optarg);
        else if (name == 'e')
            options.early_ns = 1000 * number_of(optarg);
        else if (name == 'u')
            options.until_eof = true;
        else
            exit(2);
    }
    if (optind < count || options.port > 65535 || options.tokens < 1) {
        fprintf(stderr, "truth_server: see README.md\n");
        exit(2);
    }
    return options;
}

int main(int count, char **arguments)
{
    server.options = read_options(count, arguments);
    prepare();
    printf("%d\n", port_of(server.listener));
    fflush(stdout);
    serve();
    return 0;
}
