"""Where an image starts from: marketplace recipes, managed images, gallery versions."""
