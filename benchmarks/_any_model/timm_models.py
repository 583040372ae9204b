"""timm: at least one architecture of each family that is not beyond a small machine, the smallest that is deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from _any_model.entry import Catalogue, images, sampled

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["entries"]

_NAMES = (
    # convolutional
    *("resnet18", "resnet26t", "resnetblur18", "seresnet18", "ecaresnet26t", "skresnet18"),
    *("legacy_seresnet18", "resnetv2_18", "res2net50_14w_8s", "resnest14d", "dla46x_c", "dpn48b"),
    *("densenet121", "vgg11", "xception41", "legacy_xception", "inception_v3", "selecsls42"),
    *("hrnet_w18_small", "cs3darknet_s", "cspnext_tiny", "cspresnet50", "vovnet39a", "tresnet_m"),
    *("ese_vovnet19b_slim", "regnetx_004_tv", "regnety_004", "regnetz_b16", "gernet_s"),
    *("repvgg_a0", "mobileone_s0", "repghostnet_050", "repvit_m0_9", "ghostnet_050"),
    *("ghostnetv2_100", "ghostnetv3_050", "mobilenetv2_050", "mobilenetv3_small_050"),
    *("mobilenetv4_conv_small_035", "mobilenetv4_hybrid_medium", "lcnet_050", "lcnetv2_small"),
    *("tinynet_e", "fbnetc_100", "fbnetv3_b", "mnasnet_small", "spnasnet_100", "hardcorenas_a"),
    *("efficientnet_lite0", "efficientnet_b0", "efficientnetv2_rw_t", "mixnet_s", "rexnet_100"),
    *("nfnet_l0", "dm_nfnet_f0", "nf_regnet_b0", "convnext_atto", "convnextv2_atto"),
    *("convmixer_1024_20_ks9_p14", "inception_next_atto", "hgnetv2_b0", "fasternet_t0"),
    *("starnet_s1", "mambaout_femto", "rdnet_tiny", "focalnet_tiny_srf", "poolformer_s12"),
    # attention, beside convolutions or alone
    *("botnet26t_256", "halonet26t", "lambda_resnet26t", "eca_botnext26ts_256"),
    *("mobilevit_xxs", "mobilevitv2_050", "edgenext_xx_small", "fastvit_t8", "iformer_t"),
    *("efficientformer_l1", "efficientformerv2_s0", "efficientvit_b0", "efficientvit_m0"),
    *("efficientvim_m1", "shvit_s1", "swiftformer_xs", "tiny_vit_5m_224", "levit_128s"),
    *("lowformer_b0", "cpubone_nano", "caformer_s18", "coatnet_pico_rw_224", "maxvit_pico_rw_256"),
    *("vit_tiny_patch16_224", "vit_tiny_r_s16_p8_224", "deit_tiny_distilled_patch16_224"),
    *("vit_relpos_small_patch16_224", "cait_xxs24_224", "coat_tiny", "convit_tiny"),
    *("crossvit_tiny_240", "xcit_nano_12_p16_224", "pit_ti_224", "pvt_v2_b0", "tnt_s_patch16_224"),
    *(
        "twins_svt_small",
        "visformer_tiny",
        "volo_d1_224",
        "mvitv2_tiny",
        "nest_tiny",
        "gcvit_xxtiny",
    ),
    *("davit_tiny", "nextvit_small", "hiera_tiny_224", "swin_tiny_patch4_window7_224"),
    *(
        "swinv2_tiny_window8_256",
        "swinv2_cr_tiny_224",
        "eva02_tiny_patch14_224",
        "beit_base_patch16_224",
    ),
    *("vitamin_small_224", "sequencer2d_s", "mixer_s16_224", "gmlp_ti16_224", "resmlp_12_224"),
    *("csatv2", "vit_small_patch16_dinov3", "samvit_base_patch16_224"),
)


def entries() -> list[Entry]:
    """Returns the models, each at the input size that it was published with."""
    from _any_model.packages import make_importable  # noqa: PLC0415

    make_importable()
    import timm  # noqa: PLC0415 (an optional package)

    found = Catalogue("timm")
    for name in _NAMES:
        config = timm.get_pretrained_cfg(name)
        size = config.input_size if config else (3, 224, 224)
        found.add(name, _maker(name), sampled(images(*size)))
    return found.entries


def _maker(name: str) -> Any:
    def make() -> Any:
        import timm  # noqa: PLC0415 (an optional package)

        return timm.create_model(name)

    return make
