"""Large files of Spaces (Git LFS): each stored once by its sha256, with a row for each Space that has it.

Runs in web processes; builds read from it. Owns `SPACEPORT_HOME/lfs`. A repository has pointers, as git-lfs
writes them; an object is read only through a Space that has it."""
