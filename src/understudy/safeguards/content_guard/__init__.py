"""The content guard looks at sampled frames for nudity. Its network runs in a process of its
own, which `process` is and `line` talks to."""
