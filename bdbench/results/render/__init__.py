"""Ways to write a comparison down, each registered as a reporter like any plugin's."""
