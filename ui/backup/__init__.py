"""A backup of the whole library in one file, made while Scholion runs, and a library made from it."""
