"""Text backdoors whose trigger is inserted into the text: rare words or one sentence."""
