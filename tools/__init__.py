"""Programs that make the files that are shipped, and pictures of the documents."""
