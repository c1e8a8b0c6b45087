"""What is not normal: a seasonal model of delivery with a stated rate of false alarms, and the rule of two sigmas."""
