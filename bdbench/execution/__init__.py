"""Getting a plan done: scheduler, local workers, progress."""
