"""The zoo against torchvision: names, shapes, counts, multiply-adds, initial weights and logits."""
