"""VHDs as page blobs in Azure storage."""
