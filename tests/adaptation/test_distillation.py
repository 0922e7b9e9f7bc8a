"""What adaptation calls a miss is what tells pictures apart, not what all of them have in common."""

import torch

from hipmr_hf.adaptation.distillation import FeatureLoss


def test_a_student_that_says_the_same_of_every_picture_misses_everything():
    generator = torch.Generator().manual_seed(0)
    common = 20 * torch.randn(16, generator=generator)
    teacher = common + torch.randn(64, 16, generator=generator) * torch.rand(16, generator=generator)
    loss, same = FeatureLoss.of(teacher), teacher.mean(dim=0).expand_as(teacher)
    assert torch.nn.functional.cosine_similarity(same, teacher).min() > 0.99
    torch.testing.assert_close(loss(same, teacher), torch.tensor(1.0))
    torch.testing.assert_close(loss((same + teacher) / 2, teacher), torch.tensor(0.25))
    assert loss(teacher, teacher) == 0


def test_a_number_that_never_changes_does_not_outweigh_the_others():
    teacher = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    teacher[:, 1] = 3
    found = FeatureLoss.of(teacher)(teacher + 1e-6, teacher)
    assert torch.isfinite(found) and found < 1e-3
