"""How well a defended classifier answers, with and without the trigger."""
