"""Components that come with the host, through the same hooks as everybody's."""
