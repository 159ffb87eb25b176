"""The half of the Xet protocol that uploads (its specification: huggingface.co/docs/xet), for clients that
send large files so without asking. What comes in pieces becomes files of `spaces.lfs` at once; no pieces are
kept, and nothing is downloaded by Xet.

Runs in web processes; what is on its way lies in the spool of `spaces.lfs`."""
