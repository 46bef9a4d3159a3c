"""What is learned from: MNIST, digits with captions, prompts, and what a teacher drew."""
