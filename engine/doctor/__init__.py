"""`engine doctor`: looks at everything an engine stands on, and says how to mend what is wrong."""
