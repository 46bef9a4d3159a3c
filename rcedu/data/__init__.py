"""What is learned from: MNIST, digits with captions, prompts, real pictures, and what a teacher drew."""
