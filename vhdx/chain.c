/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding a parent.  Each place that the locator allows is looked at: first as it
 * is written, then, if no parent was found, without regard to upper and lower
 * case.  A file that is there counts only if its DataWriteGuid is the one that
 * the child was made over ([MS-VHDX] 2.6.2.6.3): any other content would give a
 * disk that never was.  What was found at each place goes into the error.
 *
 * Left out: "an implementation has to update any existing stale path entries".
 * A file that is opened read-only must not change, and one that is opened for
 * writing is found again the same way.
 */
#include "vhdx/chain.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/strv.h"
#include "vhdx/locator.h"
#include "vhdx/parent-path.h"

#define ADVICE_CHANGED                                                                      \
	"its content goes with the parent as it was: bring that back from a copy that was " \
	"made before the change"

struct search {
	struct vhdx *child;
	unsigned flags;
	const struct vhdx_chain_link *children;
	struct vhdx_linkage linkage;
	struct text tried; /* "PATH is missing; PATH has changed" */
	bool has_changed; /* there is one of the name, but with other content */
	struct blk *parent; /* found */
};

static void search_deinit(struct search *search)
{
	text_deinit(&search->tried);
}

static void note(struct search *search, const char *path, const char *outcome)
{
	text_addf(&search->tried, "%s%s %s", search->tried.bytes ? "; " : "", path, outcome);
}

static void note_error(struct search *search, const struct err *err)
{
	text_addf(&search->tried, "%s%s", search->tried.bytes ? "; " : "", err_message(err));
}

/* True if the file is one of those that are being opened. */
static bool is_in_chain(const struct vhdx_chain_link *children, const struct stat *st)
{
	for (; children; children = children->child)
		if (children->device == st->st_dev && children->inode == st->st_ino)
			return true;
	return false;
}

/* Its header alone: whether it is the content that the child lies over. */
static struct err *has_linkage(struct blk *file, const struct vhdx_linkage *linkage, bool *ret_has)
{
	CLEANUP_FINDINGS struct findings findings = {.name = file->name};
	struct vhdx_headers headers;

	TRY(vhdx_headers_read(file, &findings, &headers));
	TRY(findings_take_error(&findings));
	*ret_has = vhdx_linkage_allows(linkage, &headers.current.data_write_guid);
	return NULL;
}

/* The parent beneath the child that is being opened; what is refused about it is so because of the
 * child. */
static struct err *open_found(struct search *search, struct blk *file, const struct stat *st)
{
	struct vhdx_chain_link link = {st->st_dev, st->st_ino, search->children};
	unsigned flags = search->flags & VHDX_OPEN_INCOMPLETE;

	if (search->flags & VHDX_OPEN_MERGE)
		flags |= VHDX_OPEN_WRITE;
	return err_wrap(vhdx_open_device(file,
					 &(struct vhdx_opening){
						 .flags = flags,
						 .log = search->child->log,
						 .children = &link,
					 },
					 &search->parent),
			"%s: its parent", search->child->blk.name);
}

/* Looks at a file that is there; the error is one that ends the search. */
static struct err *look_into(struct search *search, const char *path, const struct stat *st)
{
	CLEANUP_BLK struct blk *file = NULL;
	CLEANUP_ERR struct err *err = NULL;
	bool has = false;

	if (is_in_chain(search->children, st))
		return err_advise(err_refused("%s: its parent %s is, by way of its own parents, its child: "
					      "the chain has no end",
					      search->child->blk.name, path),
				  "one of the files was replaced by another: copy the chain again from where "
				  "it came from");
	err = blk_file_open(path, BLK_FILE_DIRECT | (search->flags & VHDX_OPEN_MERGE ? BLK_FILE_WRITE : 0), 0,
			    &file);
	if (!err)
		err = has_linkage(file, &search->linkage, &has);
	if (err) {
		note_error(search, err);
		return NULL;
	}
	if (!has) {
		note(search, path, "has changed since, or is another disk");
		search->has_changed = true;
		return NULL;
	}
	TRY(open_found(search, file, st));
	file = NULL;
	return NULL;
}

static struct err *look_at(struct search *search, const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		note(search, path,
		     errno == ENOENT || errno == ENOTDIR ? "does not exist" : "cannot be looked at");
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		note(search, path, "is no file");
		return NULL;
	}
	return look_into(search, path, &st);
}

/* As above, but only where the name is another one in upper and lower case. */
static struct err *look_at_any_case(struct search *search, const char *path)
{
	CLEANUP_FREE char *found = NULL;
	struct stat st;

	if (!stat(path, &st))
		return NULL;
	TRY(vhdx_path_find_any_case(path, &found));
	return found ? look_at(search, found) : NULL;
}

static struct err *refuse_missing(const struct search *search)
{
	const char *name = search->child->blk.name;

	if (search->has_changed)
		return err_advise(
			err_refused("%s: its parent has changed since it was made, or is missing: %s", name,
				    search->tried.data),
			ADVICE_CHANGED);
	return err_advise(err_refused("%s: its parent, which holds the rest of the disk, was not found: %s",
				      name, search->tried.data),
			  "put the parent beside it, or where it was");
}

static struct err *refuse_locator(const struct vhdx *child, const char *wrong)
{
	return err_advise(err_refused("%s: the parent locator %s", child->blk.name, wrong),
			  "the file is damaged: copy it again from where it came from");
}

static struct err *search_parent(struct search *search)
{
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
	CLEANUP_VHDX_PATHS struct vhdx_paths paths = {0};
	struct vhdx *child = search->child;
	const char *wrong;

	TRY(vhdx_locator_read(child->io, &child->regions.metadata, &child->metadata, &locator));
	wrong = vhdx_locator_check(&locator, &search->linkage);
	if (wrong)
		return refuse_locator(child, wrong);
	TRY(vhdx_parent_paths(child->file->name, &locator, &paths));
	for (size_t i = 0; i < paths.count && !search->parent; i++)
		TRY(look_at(search, paths.items[i]));
	for (size_t i = 0; i < paths.count && !search->parent; i++)
		TRY(look_at_any_case(search, paths.items[i]));
	return search->parent ? NULL : refuse_missing(search);
}

struct err *vhdx_chain_open_parent(struct vhdx *child, unsigned flags, const struct vhdx_chain_link *children,
				   struct blk **ret_parent)
{
	struct search search = {.child = child, .flags = flags, .children = children};
	struct vhdx_chain_link self = {.child = NULL};
	struct stat st;
	struct err *err;

	/* What is no file has no place beside which a parent could be. */
	if (strcmp(child->file->ops->kind, "file"))
		return err_advise(err_refused("%s: is a differencing file, and comes without its parent",
					      child->blk.name),
				  "open it where both are files");
	if (!children) {
		if (stat(child->file->name, &st))
			return err_from_errno(errno, "%s", child->file->name);
		self = (struct vhdx_chain_link){st.st_dev, st.st_ino, NULL};
		search.children = &self;
	}
	err = search_parent(&search);
	search_deinit(&search);
	if (!err)
		*ret_parent = search.parent;
	return err;
}

struct err *vhdx_chain_check_parent(struct vhdx *child, struct blk *parent)
{
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
	uint32_t sector_bytes = child->metadata.geometry.logical_sector_bytes;
	struct vhdx *vhdx = vhdx_of(parent);
	struct vhdx_linkage linkage;
	const char *wrong;

	TRY(vhdx_locator_read(child->io, &child->regions.metadata, &child->metadata, &locator));
	wrong = vhdx_locator_check(&locator, &linkage);
	if (wrong)
		return refuse_locator(child, wrong);
	if (vhdx && !vhdx_linkage_allows(&linkage, &vhdx->headers.current.data_write_guid))
		return err_advise(err_refused("%s: its parent %s has changed since, or is another disk",
					      child->blk.name, parent->name),
				  ADVICE_CHANGED);
	if (parent->logical_sector_bytes != sector_bytes)
		return err_advise(err_refused("%s: has sectors of %u bytes, but its parent %s of %u",
					      child->blk.name, sector_bytes, parent->name,
					      parent->logical_sector_bytes),
				  "one of the two is damaged, or not what was meant: copy them again from "
				  "where they came from");
	return NULL;
}
