"""What the scripts of rules do, each in the module that is named as its rule."""
