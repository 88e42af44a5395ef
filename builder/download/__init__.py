"""Downloads: one file from one or several servers, proved, resumable, shared between builds."""
