"""The study of when train points are learned and memorized: true and wrong labels, easy and hard points."""
