"""What is on disk: written whole or not at all, read as what anybody may have written.

atomic           files and directories that are the old or the new, whatever happens in between
opening          a text that is named, if it is a file on a disk
output_file      text in a file that a user named, which may be a link, a device or a pipe
private          what is for its owner alone, and who can read a file
state            where textgen remembers what it was used for
strict_json      plain files, and JSON of our format
signature        what this user's textgen wrote, told from what anybody may have written
manifest         directories whose files are vouched for by size and hash
tensors          named arrays in a file
suffixes         the places of a text in the order of what stands there
copy_index       a text, asked whether a run of characters stands in it
shipped          the models that come with textgen, which nothing is written to
names            what a model may be called
model_directory  a finished model, or an unfinished run: write, verify, load
checkpoints      everything that the next step of a run depends on
run_directory    what a killed run left in a model directory, and what it held before
lock             one run at a time for each model
verification     everything that is wrong with a model directory
"""
