"""A sweep's parts: prepare the table, plan the stacks, train, record, choose the finalists, print the table."""
