/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v receive: takes disks in over the network, until it is ended. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"
#include "p2v/cmd/sync.h"

#define MAX_CONNECTIONS 512 /* served at once: more wait in the queue of the socket */
#define DEFAULT_KEY_FILE ".pairing-key" /* no job's folder begins with a dot */

enum { OPT_DIR = 256, OPT_LISTEN, OPT_KEY_FILE, OPT_SHOW_KEY };

static const struct option long_options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"key-file", required_argument, NULL, OPT_KEY_FILE},
	{"show-key", no_argument, NULL, OPT_SHOW_KEY},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct receive_options {
	const char *dir;
	const char *listen;
	const char *key_file;
	bool show_key;
	unsigned verbose;
};

static void print_help(void)
{
	fputs("p2v receive --dir DIR [options]\n"
	      "\n"
	      "Takes disks in from 'p2v send', each into a VHDX in DIR/JOB.  Runs until it is ended; what "
	      "was\n"
	      "under way goes on when the sender comes again.\n"
	      "\n"
	      "  --dir DIR            where jobs go (made if missing)\n"
	      "  --listen ADDR:PORT   default: all addresses, port 4902\n"
	      "  --key-file FILE      the pairing key (made if missing, and shown once); default "
	      "DIR/.pairing-key\n"
	      "  --show-key           show the key also if the file was there\n"
	      "  --verbose            tell each step\n",
	      stdout);
}

static struct err *take_option(void *arg, int option)
{
	struct receive_options *options = arg;

	switch (option) {
	case OPT_DIR:
		options->dir = optarg;
		break;
	case OPT_LISTEN:
		options->listen = optarg;
		break;
	case OPT_KEY_FILE:
		options->key_file = optarg;
		break;
	case OPT_SHOW_KEY:
		options->show_key = true;
		break;
	case 'v':
		options->verbose++;
		break;
	}
	return NULL;
}

struct service {
	struct receiver *receiver;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned connections;
};

struct connection {
	struct service *service;
	int fd;
	char peer[NI_MAXHOST + NI_MAXSERV + 8];
};

static void *serve(void *arg)
{
	struct connection *connection = arg;
	struct service *service = connection->service;

	/* It has been logged. */
	err_free(receiver_serve(service->receiver, connection->fd, connection->peer));
	free(connection);
	LOCKED(&service->lock);
	service->connections--;
	pthread_cond_signal(&service->changed);
	return NULL;
}

static void name_peer(const struct sockaddr_storage *address, socklen_t bytes, struct connection *connection)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)address, bytes, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(connection->peer, sizeof connection->peer, "a sender");
	else
		snprintf(connection->peer, sizeof connection->peer, "%s port %s", host, port);
}

static void wait_for_room(struct service *service)
{
	LOCKED(&service->lock);

	while (service->connections >= MAX_CONNECTIONS)
		pthread_cond_wait(&service->changed, &service->lock);
	service->connections++;
}

/* Too few descriptors or threads just now: others will end. */
static void give_up(struct service *service)
{
	const struct timespec pause = {0, 100000000};

	pthread_mutex_lock(&service->lock);
	service->connections--;
	pthread_mutex_unlock(&service->lock);
	nanosleep(&pause, NULL);
}

static struct err *accept_for_ever(struct service *service, int listener)
{
	for (;;) {
		struct sockaddr_storage address;
		socklen_t bytes = sizeof address;
		struct connection *connection = xcalloc(1, sizeof *connection);
		pthread_t thread;

		wait_for_room(service);
		connection->service = service;
		connection->fd = accept4(listener, (struct sockaddr *)&address, &bytes, SOCK_CLOEXEC);
		if (connection->fd < 0) {
			int error = errno;

			free(connection);
			give_up(service);
			if (error == EBADF || error == EINVAL || error == ENOTSOCK)
				return err_from_errno(error, "accept");
			continue;
		}
		sync_tune_socket(connection->fd);
		name_peer(&address, bytes, connection);
		if (pthread_create(&thread, NULL, serve, connection)) {
			close(connection->fd);
			free(connection);
			give_up(service);
			continue;
		}
		pthread_detach(thread);
	}
}

static void show_address(int listener)
{
	struct sockaddr_storage address;
	socklen_t bytes = sizeof address;
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (!getsockname(listener, (struct sockaddr *)&address, &bytes) &&
	    !getnameinfo((struct sockaddr *)&address, bytes, host, sizeof host, port, sizeof port,
			 NI_NUMERICHOST | NI_NUMERICSERV))
		printf("listening on %s port %s\n", host, port);
}

static struct err *load_key(const struct receive_options *options, struct key **ret_key)
{
	CLEANUP_FREE char *path = options->key_file ? xstrdup(options->key_file)
						    : xasprintf("%s/" DEFAULT_KEY_FILE, options->dir);
	bool is_new = access(path, F_OK) && errno == ENOENT;
	char text[KEY_TEXT_BYTES];

	TRY(key_read_or_make_file(path, ret_key));
	if (!is_new && !options->show_key)
		return NULL;
	key_format(*ret_key, text);
	printf("pairing key: %s\n", text);
	explicit_bzero(text, sizeof text);
	return NULL;
}

static struct err *receive(const struct receive_options *options)
{
	struct log log = cmd_log(options->verbose);
	CLEANUP_KEY struct key *key = NULL;
	struct receiver_options receiver = {.dir = options->dir, .store = sync_vhdx_store(&log), .log = &log};
	struct service service = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	CLEANUP(sync_address_deinit) struct sync_address address = {0};
	CLEANUP_FD int listener = -1;
	struct stat st;

	sync_forbid_core_files();
	sync_tell_of_interruptions();
	TRY(sync_address_parse(options->listen ?: "", &address));
	if (mkdir(options->dir, 0700) && errno != EEXIST)
		return err_advise(err_from_errno(errno, "%s", options->dir),
				  "name a folder, or one that can be made in a folder that exists");
	if (stat(options->dir, &st) || (S_ISDIR(st.st_mode) && access(options->dir, W_OK | X_OK)))
		return err_advise(err_from_errno(errno, "%s", options->dir),
				  "name a folder that you may write to");
	if (!S_ISDIR(st.st_mode))
		return err_advise(err_refused("%s: is no folder", options->dir), "name a folder");
	TRY(sync_listen(&address, &listener));
	TRY(load_key(options, &key));
	receiver.key = key;
	TRY(receiver_create(&receiver, &service.receiver));
	show_address(listener);
	if (fflush(stdout))
		return err_from_errno(errno, "standard output");
	/* Never returns but for an error of the listener, after which threads may still use the receiver. */
	return accept_for_ever(&service, listener);
}

struct err *cmd_receive(int argc, char **argv)
{
	struct receive_options options = {0};
	bool help = false;

	TRY(cmd_take_options(argc, argv, long_options, take_option, &options, print_help, &help));
	if (help)
		return NULL;
	if (optind < argc)
		return err_advise(err_usage("receive: '%s' is one word too many", argv[optind]),
				  "'p2v receive --help' tells more");
	if (!options.dir)
		return err_advise(err_usage("receive: --dir is missing"), "say for example --dir /srv/p2v");
	return receive(&options);
}
