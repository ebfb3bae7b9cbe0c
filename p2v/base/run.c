/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other programs, to their end or in the background.
 *
 * The child is a process group of its own, so that a stop reaches what it
 * started too, and asks the kernel for SIGKILL when the thread that forked it
 * ends: start children from a thread that lives as long as they shall.
 */
#include "p2v/base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"

#define MAX_OUTPUT_BYTES (64u << 20)
#define ERROR_TAIL_BYTES (16u << 10)
#define NS_PER_MS 1000000ull

struct child {
	pid_t pid;
	int status; /* -1 while it runs */
	char *name;
};

uint64_t run_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool run_is_installed(const char *program)
{
	CLEANUP_STRV struct strv folders = {0};
	const char *path = getenv("PATH");

	if (strchr(program, '/'))
		return !access(program, X_OK);
	strv_split(&folders, path ? path : "/usr/sbin:/usr/bin:/sbin:/bin", ":");
	for (size_t i = 0; i < folders.count; i++) {
		CLEANUP_FREE char *candidate = xasprintf("%s/%s", folders.items[i], program);

		if (!access(candidate, X_OK))
			return true;
	}
	return false;
}

static void log_command(const struct log *log, const char *const *argv)
{
	CLEANUP_TEXT struct text line = {0};

	if (!log || log->max_level < LOG_LEVEL_DEBUG)
		return;
	for (; *argv; argv++)
		text_addf(&line, " %s", *argv);
	log_debug(log, "run:%s", line.data);
}

static bool sets_same_variable(const char *a, const char *b)
{
	size_t name_bytes = strcspn(a, "=") + 1;

	return !strncmp(a, b, name_bytes);
}

static bool is_overridden(const char *entry, const char *const *additions)
{
	for (; additions && *additions; additions++)
		if (sets_same_variable(entry, *additions))
			return true;
	return false;
}

/* Our environment with the additions; the list is freed by the caller, the strings are not. */
static char **make_environment(const char *const *additions)
{
	size_t count = 0, old = 0, added = 0;
	char **env;

	while (environ[old])
		old++;
	while (additions && additions[added])
		added++;
	env = xcalloc(old + added + 1, sizeof *env);
	for (size_t i = 0; i < old; i++)
		if (!is_overridden(environ[i], additions))
			env[count++] = environ[i];
	for (size_t i = 0; i < added; i++)
		env[count++] = (char *)additions[i];
	return env;
}

/* Between fork and exec: async-signal-safe calls only.  Reports why exec failed through the pipe. */
static void exec_child(const char *const *argv, char **env, const int stdio[3], unsigned flags, pid_t parent,
		       int report_fd)
{
	sigset_t none;
	int errnum;

	if (flags & RUN_TERMINAL) {
		setsid();
		ioctl(stdio[0], TIOCSCTTY, 0);
		/* Whoever put us into the background has made us ignore its keys; the child has its own. */
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
	} else {
		setpgid(0, 0);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int fd = 0; fd < 3; fd++)
		dup2(stdio[fd], fd);
	execvpe(argv[0], (char *const *)argv, env);
	errnum = errno;
	if (write(report_fd, &errnum, sizeof errnum) < 0)
		_exit(126);
	_exit(127);
}

/* Forks and executes; stdio descriptors stay the caller's and must be at least 3. */
static struct err *spawn(const char *const *argv, const struct run_options *options, const int stdio[3],
			 pid_t *ret_pid)
{
	CLEANUP_FREE char **env = make_environment(options->env);
	CLEANUP_FD int report_read = -1;
	pid_t parent = getpid(), pid;
	int report[2], errnum = 0;
	ssize_t got;

	log_command(options->log, argv);
	if (pipe2(report, O_CLOEXEC))
		return err_from_errno(errno, "%s", argv[0]);
	report_read = report[0];
	pid = fork();
	if (!pid)
		exec_child(argv, env, stdio, options->flags, parent, report[1]);
	close(report[1]);
	if (pid < 0)
		return err_from_errno(errno, "%s", argv[0]);
	do {
		got = read(report_read, &errnum, sizeof errnum);
	} while (got < 0 && errno == EINTR);
	if (got == sizeof errnum) {
		waitpid(pid, NULL, 0);
		return err_advise(err_from_errno(errnum, "cannot run %s", argv[0]),
				  "install the package that holds %s", argv[0]);
	}
	*ret_pid = pid;
	return NULL;
}

static int exit_status(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/*
 * One run: three pipes and a process, moved on by poll() until all pipes are
 * closed and the process has ended.
 */
struct run {
	const struct run_options *options;
	pid_t pid;
	int in, out, err; /* our ends; -1 once closed */
	size_t input_done;
	struct text out_text;
	struct text err_text;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void feed_input(struct run *run)
{
	const char *input = run->options->input;
	/* A socket, not a pipe, so that a program that does not read its input cannot kill us by SIGPIPE. */
	ssize_t put = send(run->in, input + run->input_done, run->options->input_bytes - run->input_done,
			   MSG_NOSIGNAL);

	if (put > 0)
		run->input_done += put;
	if ((put < 0 && errno != EAGAIN && errno != EINTR) || run->input_done == run->options->input_bytes)
		close_fd(&run->in);
}

static void take_output(int *fd, struct text *text)
{
	char buf[65536];
	ssize_t got = read(*fd, buf, sizeof buf);

	if (got > 0)
		text_add(text, buf, got);
	else if (!got || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
}

static void keep_tail(struct text *text, size_t max_bytes)
{
	if (text->bytes <= 2 * max_bytes)
		return;
	memmove(text->data, text->data + text->bytes - max_bytes, max_bytes + 1);
	text->bytes = max_bytes;
}

/* Milliseconds until the deadline for poll(), -1 for none. */
static int remaining_ms(uint64_t deadline_ns)
{
	uint64_t now_ns = run_now_ns();

	if (!deadline_ns)
		return -1;
	if (now_ns >= deadline_ns)
		return 0;
	return (deadline_ns - now_ns) / NS_PER_MS + 1;
}

/* Serves the pipes until both outputs are closed; false when the time is over. */
static bool serve_pipes(struct run *run, uint64_t deadline_ns)
{
	while (run->out >= 0 || run->err >= 0) {
		struct pollfd fds[] = {
			{.fd = run->in, .events = POLLOUT},
			{.fd = run->out, .events = POLLIN},
			{.fd = run->err, .events = POLLIN},
		};
		int ready = poll(fds, 3, remaining_ms(deadline_ns));

		if (!ready)
			return false;
		if (ready < 0)
			continue;
		if (fds[0].revents)
			feed_input(run);
		if (fds[1].revents)
			take_output(&run->out, &run->out_text);
		if (fds[2].revents)
			take_output(&run->err, &run->err_text);
		keep_tail(&run->err_text, ERROR_TAIL_BYTES);
		if (run->out_text.bytes > MAX_OUTPUT_BYTES)
			return false;
	}
	return true;
}

/* Waits for a process; false when the time is over first. */
static bool wait_for(pid_t pid, uint64_t deadline_ns, int *ret_status)
{
	CLEANUP_FD int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
	int wait_status;

	while (pidfd >= 0) {
		int ready = poll(&poll_fd, 1, remaining_ms(deadline_ns));

		if (!ready)
			return false;
		if (ready > 0)
			break;
	}
	while (waitpid(pid, &wait_status, 0) < 0)
		if (errno != EINTR)
			return false;
	*ret_status = exit_status(wait_status);
	return true;
}

static const char *last_line(char *text)
{
	char *end = text + strlen(text);
	char *line;

	while (end > text && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static struct err *status_error(const char *program, int status, const char *err_text)
{
	CLEANUP_FREE char *copy = xstrdup(err_text);
	const char *line = last_line(copy);

	if (status > 128)
		return err_failed("%s was killed by signal %d%s%s", program, status - 128, *line ? ": " : "",
				  line);
	return err_failed("%s failed with status %d%s%s", program, status, *line ? ": " : "", line);
}

static struct err *finish_run(struct run *run, const char *program, struct run_result *ret_result)
{
	uint64_t limit_ns = run->options->time_limit_ns;
	uint64_t deadline_ns = limit_ns ? run_now_ns() + limit_ns : 0;
	struct run_result result = {0};
	struct err *err = NULL;

	if (!serve_pipes(run, deadline_ns) || !wait_for(run->pid, deadline_ns, &result.status)) {
		kill(-run->pid, SIGKILL);
		waitpid(run->pid, NULL, 0);
		if (run->out_text.bytes > MAX_OUTPUT_BYTES)
			return err_failed("%s printed more than %u MiB", program, MAX_OUTPUT_BYTES >> 20);
		return err_failed("%s did not end within %llu s", program,
				  (unsigned long long)(limit_ns / 1000000000));
	}
	keep_tail(&run->err_text, ERROR_TAIL_BYTES / 2);
	result.out_bytes = run->out_text.bytes;
	result.out = text_take(&run->out_text);
	result.err_text = text_take(&run->err_text);
	if (result.status && !(run->options->flags & RUN_ANY_STATUS))
		err = status_error(program, result.status, result.err_text);
	if (err || !ret_result)
		run_result_deinit(&result);
	else
		*ret_result = result;
	return err;
}

/* Makes a pipe, or for input a pair of sockets, whose end `ours` does not block us. */
static struct err *make_pipe(int ret_pipe[2], int ours)
{
	int failed = ours ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_pipe)
			  : pipe2(ret_pipe, O_CLOEXEC);

	if (failed || fcntl(ret_pipe[ours], F_SETFL, O_NONBLOCK))
		return err_from_errno(errno, "pipe");
	return NULL;
}

struct err *run_argv(const char *const *argv, const struct run_options *options,
		     struct run_result *ret_result)
{
	static const struct run_options no_options;
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err_pipe[2] = {-1, -1};
	struct run run = {.options = options ? options : &no_options};
	struct err *err = make_pipe(in, 1);

	if (!err)
		err = make_pipe(out, 0);
	if (!err)
		err = make_pipe(err_pipe, 0);
	if (!err) {
		int stdio[3] = {in[0], out[1], err_pipe[1]};

		err = spawn(argv, run.options, stdio, &run.pid);
	}
	close_fd(&in[0]);
	close_fd(&out[1]);
	close_fd(&err_pipe[1]);
	run.in = in[1];
	run.out = out[0];
	run.err = err_pipe[0];
	if (!err) {
		if (!run.options->input_bytes)
			close_fd(&run.in);
		err = finish_run(&run, argv[0], ret_result);
	}
	close_fd(&run.in);
	close_fd(&run.out);
	close_fd(&run.err);
	text_deinit(&run.out_text);
	text_deinit(&run.err_text);
	return err;
}

void run_result_deinit(struct run_result *result)
{
	free(result->out);
	free(result->err_text);
	*result = (struct run_result){0};
}

struct err *child_start(const char *const *argv, const char *log_path, const struct run_options *options,
			struct child **ret_child)
{
	CLEANUP_FD int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int out =
		open(log_path ? log_path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (in < 0 || out < 0)
		return err_from_errno(errno, "%s", log_path ? log_path : "/dev/null");
	return child_start_on(argv, (const int[3]){in, out, out}, options, ret_child);
}

struct err *child_start_on(const char *const *argv, const int stdio[3], const struct run_options *options,
			   struct child **ret_child)
{
	static const struct run_options no_options;
	struct child *child;
	pid_t pid;

	TRY(spawn(argv, options ? options : &no_options, stdio, &pid));
	child = xcalloc(1, sizeof *child);
	child->pid = pid;
	child->status = -1;
	child->name = xstrdup(argv[0]);
	*ret_child = child;
	return NULL;
}

pid_t child_pid(const struct child *child)
{
	return child->pid;
}

int child_wait(struct child *child, uint64_t limit_ns)
{
	/* A deadline of 0 would mean none. */
	if (child->status < 0)
		wait_for(child->pid, run_now_ns() + limit_ns, &child->status);
	return child->status;
}

void child_stop(struct child *child, uint64_t grace_ns)
{
	if (!child)
		return;
	if (child->status < 0) {
		kill(-child->pid, SIGTERM);
		child_wait(child, grace_ns);
	}
	if (child->status < 0) {
		kill(-child->pid, SIGKILL);
		waitpid(child->pid, NULL, 0);
	}
	free(child->name);
	free(child);
}
