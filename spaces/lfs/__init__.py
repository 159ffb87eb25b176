"""Large files of Spaces (Git LFS): stored once by their sha256 whoever has them, held by Spaces as rows.

Runs in web processes; builds read from it. Owns `SPACEPORT_HOME/lfs`. A repository has pointers, as git-lfs
writes them; only through a Space that holds an object is it read."""
