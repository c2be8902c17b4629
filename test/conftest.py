"""Set-up that all tests share."""

import torch

# Two test workers share the machine: more threads each would only wait for one another. Tests of
# threads set their own number.
torch.set_num_threads(1)
